package scheduler

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// Wherever a bit of a snapshot flips, it is thrown away or means the same: a
// sequence that is too high would leave out events of that partition.
func TestEachByteOfASnapshotCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	s := &Scheduler{cfg: Config{SnapshotFile: file, Stream: "stream"}, state: projection.NewState()}
	sections := make(chan section, sectionCount)
	for p := -1; p < eventlog.Partitions; p++ {
		taken, err := s.section(p)
		if err != nil {
			t.Fatal(err)
		}
		sections <- newSection(p, uint64(1000+p), taken.Body)
	}
	close(sections)
	if err := s.writeSnapshot(sections); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reads(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		flip := byte(1) << (n % 8)
		whole[n] ^= flip
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		whole[n] ^= flip
		if got, err := reads(file); err == nil && got != want {
			t.Fatalf("bit %d of byte %d: it is taken, as something else", n%8, n)
		}
	}
}

// reads is what a snapshot says: sequences and bytes of all partitions.
func reads(file string) (said string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			said, err = fmt.Sprint("it panics: ", fault), nil
		}
	}()
	state, err := readSnapshot(file, "stream", projection.NewState())
	if err != nil {
		return "", err
	}
	for p := range eventlog.Partitions {
		body, err := state.Partition(p).Encode()
		if err != nil {
			return "", err
		}
		said += fmt.Sprintf("%d %x\n", state.Partition(p).Seq, body)
	}
	return said, nil
}
