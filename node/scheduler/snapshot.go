package scheduler

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// snapshotter makes a snapshot partition by partition while the loop goes on. A
// partition is taken when no open commit holds an event of it, so that it is a
// prefix of the log; most are so at any moment. Should none of those left be so
// for a while, the loop decides nothing until what is open is stored.
type snapshotter struct {
	events   int       // since the last snapshot
	last     time.Time // when that was begun
	left     []int     // partitions to take, while sections != nil
	draining bool      // the loop lets what is open be stored
	since    time.Time // begin of draining
	pace     time.Time // not before then the next partition
	sections chan section
	written  chan error // of the writer under way
}

// section is one partition in a snapshot file; -1 is the cluster's.
type section struct {
	Partition int      `cbor:"1,keyasint"`
	Seq       uint64   `cbor:"2,keyasint"`
	Hash      [32]byte `cbor:"3,keyasint"` // of all the others
	Body      []byte   `cbor:"4,keyasint"`
}

func newSection(partition int, seq uint64, body []byte) section {
	s := section{Partition: partition, Seq: seq, Body: body}
	s.Hash = s.sum()
	return s
}

// sum covers where a section belongs, too: with another sequence or in another
// partition's place, a body that is whole would hide events.
func (s *section) sum() (sum [32]byte) {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, []uint64{uint64(s.Partition), s.Seq}) // a hash never refuses
	_, _ = h.Write(s.Body)
	h.Sum(sum[:0])
	return sum
}

type snapshotHeader struct {
	Format int    `cbor:"1,keyasint"`
	Stream string `cbor:"2,keyasint"`
}

// snapshotPace is the pause between two partitions: the decider works most of
// the time while a snapshot is made.
const snapshotPace = 5 * time.Millisecond

// snapshotBuffer is how many bytes are written to or read from a file at once.
const snapshotBuffer = 64 << 10

// drainAfter is how long the loop looks for a partition without open events.
const drainAfter = 250 * time.Millisecond

// sectionCount is all partitions and the cluster.
const sectionCount = eventlog.Partitions + 1

// snapshotStep does what is due for a snapshot, at the end of a turn.
func (s *Scheduler) snapshotStep() {
	p := &s.snap
	if s.cfg.SnapshotFile == "" {
		return
	}
	if p.written != nil {
		select {
		case err := <-p.written:
			p.written = nil
			if err != nil {
				s.log.Warn("a snapshot could not be written; the next start folds more of the log", "error", err)
			}
		default:
		}
	}
	if p.sections == nil {
		if p.written != nil || p.events == 0 || p.events < s.cfg.SnapshotEvents && time.Since(p.last) < s.cfg.SnapshotEvery {
			return
		}
		p.events, p.last, p.left = 0, time.Now(), everySection()
		p.sections, p.written = make(chan section, sectionCount), make(chan error, 1)
		go func(from <-chan section, to chan<- error) {
			to <- s.writeSnapshot(from)
		}(p.sections, p.written)
	}
	if time.Now().Before(p.pace) {
		return
	}
	if n := s.settled(p.left); n >= 0 {
		s.takeSection(n)
	} else if !p.draining && time.Since(p.pace) > drainAfter {
		p.draining, p.since = true, time.Now()
	}
}

// abandon ends a snapshot of a state that is thrown away. Its file is not whole,
// and so never takes the old one's place.
func (p *snapshotter) abandon() {
	if p.sections != nil {
		close(p.sections)
	}
	p.sections, p.left, p.draining = nil, nil, false
}

func everySection() []int {
	all := make([]int, sectionCount)
	for n := range all {
		all[n] = n - 1
	}
	return all
}

// settled finds a partition of which no commit that is not yet folded holds an
// event; -1 if none.
func (s *Scheduler) settled(among []int) int {
	var pending [eventlog.Partitions]bool
	var cluster bool
	for _, c := range slices.Concat(s.open, s.ahead) {
		for n := range c.events {
			if p := c.events[n].Partition; p >= 0 {
				pending[p] = true
			} else {
				cluster = true
			}
		}
	}
	return slices.IndexFunc(among, func(p int) bool { return p < 0 && !cluster || p >= 0 && !pending[p] })
}

// takeSection encodes the n-th of the partitions that are left.
func (s *Scheduler) takeSection(n int) {
	p, begun := &s.snap, time.Now()
	if p.draining {
		begun = p.since
	}
	taken, err := s.section(p.left[n])
	if err != nil {
		s.log.Error("a partition cannot be encoded", "partition", p.left[n], "error", err)
	} else {
		p.sections <- taken // has room for all
	}
	p.draining, p.pace = false, time.Now().Add(snapshotPace)
	s.stats.stalled(time.Since(begun))
	if p.left = slices.Delete(p.left, n, n+1); len(p.left) == 0 {
		close(p.sections)
		p.sections = nil
	}
}

// section encodes a partition. Nothing in it may be pending.
func (s *Scheduler) section(partition int) (section, error) {
	var body []byte
	var err error
	if partition < 0 {
		body, err = s.state.EncodeCluster()
	} else {
		body, err = s.state.Partition(partition).Encode()
	}
	return newSection(partition, s.state.Seq(), body), err
}

// lastSnapshot is made when all loops have ended and all is stored. One that is
// under way ends with the process, whatever its end was.
func (s *Scheduler) lastSnapshot() {
	if s.snap.written != nil {
		s.snap.abandon()
		if err := <-s.snap.written; err != nil {
			s.log.Warn("a snapshot could not be written; another follows", "error", err)
		}
	}
	if s.cfg.SnapshotFile == "" || s.Err() != nil || len(s.open) > 0 || len(s.ahead) > 0 || s.displaced {
		return
	}
	sections := make(chan section, sectionCount)
	for p := -1; p < eventlog.Partitions; p++ {
		taken, err := s.section(p)
		if err != nil {
			s.log.Error("a partition cannot be encoded", "partition", p, "error", err)
			return
		}
		sections <- taken
	}
	close(sections)
	if err := s.writeSnapshot(sections); err != nil {
		s.log.Warn("the last snapshot could not be written; the next start folds more of the log", "error", err)
	}
}

// writeSnapshot writes sections to a new file and puts it in the place of the
// old one when it is whole.
func (s *Scheduler) writeSnapshot(sections <-chan section) (err error) {
	temporary := s.cfg.SnapshotFile + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, closeOnce(f)); err != nil {
			_ = os.Remove(temporary) // there may be no room for it
		}
	}()
	w := bufio.NewWriterSize(f, snapshotBuffer)
	out := cbor.NewEncoder(w)
	if err := out.Encode(snapshotHeader{projection.SnapshotVersion, s.cfg.Stream}); err != nil {
		return err
	}
	count := 0
	for taken := range sections {
		if err := out.Encode(taken); err != nil {
			return err
		}
		count++
	}
	if count != sectionCount {
		return os.Remove(temporary) // the process ends amidst a snapshot
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, s.cfg.SnapshotFile); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.cfg.SnapshotFile))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// closeOnce closes a file that may be closed.
func closeOnce(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// loadSnapshot reads the last snapshot, or begins from nothing: what is derived
// can be thrown away.
func (s *Scheduler) loadSnapshot() *projection.State {
	if s.cfg.SnapshotFile == "" {
		return s.newState()
	}
	state, err := readSnapshot(s.cfg.SnapshotFile, s.cfg.Stream, s.newState())
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("the snapshot cannot be used; folding the whole log", "error", err)
		}
		return s.newState()
	}
	return state
}

// Remembered is the highest sequence that a snapshot of a stream knows to have
// been stored; 0 if there is none that can be read. Nobody may write it meanwhile.
func Remembered(file, stream string) uint64 {
	state, err := readSnapshot(file, stream, projection.NewState())
	if err != nil {
		return 0
	}
	return state.Highest()
}

// newState is the state before the first event.
func (s *Scheduler) newState() *projection.State {
	state := projection.NewState()
	state.Attend(s.cfg.Node)
	return state
}

// readSnapshot loads a file into a new state.
func readSnapshot(file, stream string, state *projection.State) (*projection.State, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	in := cbor.NewDecoder(bufio.NewReaderSize(f, snapshotBuffer))
	var header snapshotHeader
	if err := in.Decode(&header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if header.Format != projection.SnapshotVersion || header.Stream != stream {
		return nil, fmt.Errorf("it is of format %d and stream %s", header.Format, header.Stream)
	}
	for count := 0; ; count++ {
		var taken section
		err := in.Decode(&taken)
		switch {
		case errors.Is(err, io.EOF) && count == sectionCount:
			state.Reindex()
			return state, nil
		case err != nil:
			return nil, fmt.Errorf("section %d: %w", count, err)
		case taken.sum() != taken.Hash:
			return nil, fmt.Errorf("section %d is damaged", count)
		case taken.Partition < 0:
			err = state.LoadCluster(taken.Body)
		default:
			err = state.Load(taken.Partition, taken.Seq, taken.Body)
		}
		if err != nil {
			return nil, err
		}
	}
}
