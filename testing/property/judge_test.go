package property

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
	"github.com/belfryhq/belfry/testing/check"
)

// judged lets the judge, who knows nothing of the product, read the log.
func judged(log []eventlog.Message) *check.Verdict {
	commits := make([]check.Commit, len(log))
	for n, m := range log {
		commits[n] = check.Commit{Seq: m.Seq, Subject: eventlog.DefaultPrefix.Subject(m.Lane), Body: m.Body}
	}
	return check.Log(commits)
}

// accepted is what the judge says.
func accepted(v *check.Verdict) error {
	if report := v.Report("see the seed of rapid"); report != "" {
		return errors.New(report)
	}
	return nil
}

// fold is a state made of a log alone.
func fold(log []eventlog.Message, r rules) (*projection.State, error) {
	s := projection.NewState()
	for _, m := range log {
		_, objection, err := s.Fold(m)
		if err = cmp.Or(err, r.object(objection)); err != nil {
			return nil, fmt.Errorf("commit %d: %w", m.Seq, err)
		}
	}
	return s, nil
}

// reload is a state made of snapshots, of the even partitions at one place of
// the log and of the odd ones at another, and of the log after them. Its index is
// of what is due for a node, "" for all.
func reload(log []eventlog.Message, even, odd int, attended string, r rules) (*projection.State, error) {
	s := projection.NewState()
	s.Attend(attended)
	for parity, cut := range []int{even, odd} {
		from, err := fold(log[:cut], r)
		if err != nil {
			return nil, err
		}
		for p := parity; p < eventlog.Partitions; p += 2 {
			encoded, err := r.encode(from.Partition(p))
			if err != nil {
				return nil, err
			}
			if err := s.Load(p, uint64(cut), encoded); err != nil {
				return nil, err
			}
		}
		if parity > 0 {
			continue
		}
		encoded, err := from.EncodeCluster()
		if err != nil {
			return nil, err
		}
		if err := s.LoadCluster(encoded); err != nil {
			return nil, err
		}
	}
	s.Reindex()
	for _, m := range log[min(even, odd):] {
		_, objection, err := s.Fold(m)
		if err = cmp.Or(err, r.object(objection)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// equal compares every partition, byte by byte, and what is known of nodes.
func equal(a, b *projection.State) error {
	for p := range eventlog.Partitions {
		x, errX := a.Partition(p).Encode()
		y, errY := b.Partition(p).Encode()
		if err := errors.Join(errX, errY); err != nil {
			return err
		}
		if !bytes.Equal(x, y) {
			return fmt.Errorf("partition %d differs: %q and %q", p, x, y)
		}
		if a.Partition(p).Seq != b.Partition(p).Seq {
			return fmt.Errorf("partition %d is folded to %d and %d", p, a.Partition(p).Seq, b.Partition(p).Seq)
		}
	}
	if !reflect.DeepEqual(a.Cluster(), b.Cluster()) {
		return fmt.Errorf("the clusters differ: %+v and %+v", a.Cluster(), b.Cluster())
	}
	return nil
}

func every[T any](*T) bool { return true }

// listed walks a list in pages.
func listed[T any](scan func(projection.Cursor, int, int, func(*T) bool) ([]T, projection.Cursor, bool), size int, id func(*T) string) (ids []string) {
	for c, done := (projection.Cursor{}), false; !done; {
		var page []T
		page, c, done = scan(c, size, size, every[T])
		for n := range page {
			ids = append(ids, id(&page[n]))
		}
	}
	return ids
}

func idOf(i *projection.Item) string { return i.ID }

// records are all items and runs.
func records(s *projection.State) map[string]projection.Item {
	all := map[string]projection.Item{}
	items, _, _ := s.ScanItems(projection.Cursor{}, math.MaxInt, math.MaxInt, every[projection.Item])
	runs, _, _ := s.ScanRuns(projection.Cursor{}, math.MaxInt, math.MaxInt, every[projection.Item])
	for _, i := range slices.Concat(items, runs) {
		all[i.ID] = i
	}
	return all
}

// alike compares what two states answer that is not in their bytes: lists, what
// their indexes know, and requests. What is due is drained's.
func alike(a, b *projection.State, causes map[string]bool) error {
	for id := range causes {
		for p := range eventlog.Partitions {
			if x, y := a.Partition(p).Request(id), b.Partition(p).Request(id); !slices.Equal(x, y) {
				return fmt.Errorf("request %s is known at %v and at %v", id, x, y)
			}
		}
	}
	x, y := answers(a), answers(b)
	for n := range x {
		if !reflect.DeepEqual(x[n], y[n]) {
			return fmt.Errorf("answer %d differs: %+v and %+v", n, x[n], y[n])
		}
	}
	return openRuns(a, b)
}

func answers(s *projection.State) []any {
	return []any{
		listed(s.ScanItems, 2, idOf), listed(s.ScanRuns, 3, idOf),
		listed(s.ScanTriggers, 1, func(t *projection.Trigger) string { return t.ID }),
		s.Functions(), s.Users(), s.Automations(),
	}
}

func openRuns(a, b *projection.State) (err error) {
	a.Triggers(func(t *projection.Trigger) bool {
		other := b.Trigger(t.ID)
		if other == nil || !slices.Equal(t.OpenRuns(), other.OpenRuns()) {
			err = fmt.Errorf("open runs of %s: %v, the other has %+v", t.ID, t.OpenRuns(), other)
		}
		return err == nil
	})
	return err
}

// recounted compares counters with what the judge counted.
func recounted(s *projection.State, v *check.Verdict) error {
	counts := v.Counts()
	for status, name := range []string{"Queued", "Processing", "Completed", "Failed", "Canceled"} {
		if got := s.CountItems(projection.Status(status)); got != counts[name] {
			return fmt.Errorf("%d items are counted as %s, there are %d", got, name, counts[name])
		}
	}
	claims := map[string]bool{}
	for p := range eventlog.Partitions {
		s.OpenClaims(p, func(i *projection.Item) { claims[i.ID] = true })
	}
	open, all := map[string]bool{}, records(s)
	for id, i := range v.Items {
		if i.Status == "Processing" {
			open[id] = true
		}
	}
	for id, r := range v.Runs {
		if r.Status == "Processing" {
			open[id] = true
		}
	}
	if !maps.Equal(claims, open) {
		return fmt.Errorf("open claims are %v, there are %v", claims, open)
	}
	if len(all) != len(v.Items)+len(v.Runs) {
		return fmt.Errorf("%d records are listed, there are %d items and %d runs", len(all), len(v.Items), len(v.Runs))
	}
	refs := map[string]map[string]int{}
	for _, i := range all {
		if i.Live != nil {
			if refs[i.Target] == nil {
				refs[i.Target] = map[string]int{}
			}
			refs[i.Target][i.Live.Runner()]++
		}
	}
	for _, target := range append(slices.Collect(maps.Keys(refs)), "fun_0000000000000001", "fun_0000000000000002") {
		if !maps.Equal(s.OpenItems(target), refs[target]) {
			return fmt.Errorf("open items of %s: %v, there are %v", target, s.OpenItems(target), refs[target])
		}
	}
	return nil
}

// drained takes everything out of the due index, which gives it in order: by
// time, then id. It is what waits for a node ("" for any), but for what was taken
// before.
func drained(s *projection.State, attended string, taken map[string]bool) error {
	type entry struct {
		at eventlog.Time
		id string
	}
	var want, got []entry
	add := func(at eventlog.Time, id string) {
		if !taken[id] && (attended == "" || s.Cluster().Owners[partitionOf(id)].Node == attended) {
			want = append(want, entry{at, id})
		}
	}
	for id, i := range records(s) {
		if i.Status == projection.Queued {
			add(i.Live.Due, id)
		}
	}
	order := func(a, b entry) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) }
	slices.SortFunc(want, order)
	runs := len(want)
	s.Triggers(func(t *projection.Trigger) bool {
		if t.Next != 0 {
			add(t.Next, t.ID)
		}
		return true
	})
	slices.SortFunc(want[runs:], order)
	first, due := s.NextDue()
	for i := s.TakeDue(math.MaxInt64); i != nil; i = s.TakeDue(math.MaxInt64) {
		got = append(got, entry{i.Live.Due, i.ID})
	}
	for t := s.TakeOccurrence(math.MaxInt64); t != nil; t = s.TakeOccurrence(math.MaxInt64) {
		got = append(got, entry{t.Next, t.ID})
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("the index gives %v, there waits %v", got, want)
	}
	if due != (len(want) > 0) || due && first != slices.MinFunc(want, order).at {
		return fmt.Errorf("the next due time is %v, there waits %v", first, want)
	}
	return nil
}

// shelf is a log to read back from.
type shelf struct {
	eventlog.Log
	log []eventlog.Message
}

func (s shelf) Get(_ context.Context, seq uint64) (eventlog.Message, error) {
	if seq < 1 || seq > uint64(len(s.log)) {
		return eventlog.Message{}, eventlog.ErrNotFound
	}
	return s.log[seq-1], nil
}

// readBack folds the life of each item and run, as prev leads through the log,
// into the record that the state has of it.
func readBack(s *projection.State, log []eventlog.Message) error {
	for id, i := range records(s) {
		var events []eventlog.Event
		var seqs []uint64
		var err error
		if i.Revision > 0 {
			if events, seqs, err = eventlog.Life(context.Background(), shelf{log: log}, id, i.Seq); err != nil {
				return err
			}
		}
		if i.Kind == projection.KindTrigger {
			made, err := eventlog.Decode(log[i.Fired-1].Body)
			if err != nil {
				return err
			}
			fired := slices.IndexFunc(made, func(e eventlog.Event) bool {
				d, ok := e.Data.(*eventlog.TriggerFired)
				return ok && d.Run == id
			})
			events, seqs = append(made[fired:fired+1:fired+1], events...), append([]uint64{i.Fired}, seqs...)
		}
		was := projection.ItemFromLog(events, seqs)
		if i.Live == nil {
			was.Live = nil
		}
		x, errX := cbor.Marshal(was)
		y, errY := cbor.Marshal(i)
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return fmt.Errorf("read back is %+v %+v, held is %+v %+v", was, was.Live, i, i.Live)
		}
	}
	return nil
}

// same is equal and alike.
func same(a, b *projection.State, causes map[string]bool) error {
	if err := equal(a, b); err != nil {
		return err
	}
	return alike(a, b, causes)
}
