package property

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// builder makes a command, each time the same one.
type builder func() (command.Command, *api.Error)

// decideFunc is Decide.
type decideFunc func(own *projection.Partition, hints projection.Hints, c command.Command) ([]eventlog.Event, *api.Error)

// rules are the product's, or what a control puts in their place.
type rules struct {
	decide decideFunc
	evolve func(*projection.State, *eventlog.Event, projection.At)
	encode func(*projection.Partition) ([]byte, error)
	// silent is an auditor that objects to nothing: the judge has to.
	silent bool
}

// object is an objection, if there is an auditor.
func (r rules) object(objection error) error {
	if objection == nil || r.silent {
		return nil
	}
	return fmt.Errorf("the auditor objects: %w", objection)
}

// product is what is to be tested.
func product() rules {
	return rules{
		decide: command.Decide, evolve: (*projection.State).Evolve, encode: (*projection.Partition).Encode,
	}
}

// decision is what became of a command.
type decision struct {
	command command.Command
	events  []eventlog.Event
	refused *api.Error
}

// do decides a command on the owner of its partition. The error is a property
// that does not hold.
func (w *world) do(build builder) (decision, error) {
	d, err := built(build)
	if err != nil || d.refused != nil {
		return d, err
	}
	n := w.owner(d.command.Partition())
	own := n.state.Partition(d.command.Partition())
	d.events, d.refused, err = pure(n.state, d.command.Partition(), func() ([]eventlog.Event, *api.Error) {
		return w.rules.decide(own, n.state, d.command)
	})
	if err != nil {
		return d, fmt.Errorf("%T: %w", d.command, err)
	}
	if untouched, _ := build(); !reflect.DeepEqual(untouched, d.command) {
		return d, fmt.Errorf("%T is changed by its decision: %+v, it was %+v", d.command, d.command, untouched)
	}
	if d.refused == nil {
		d.refused, err = n.gather(d.events, w.rules)
		if d.refused != nil {
			d.events = nil
		}
	}
	if err == nil {
		err = w.remembers(n, d)
	}
	return d, err
}

// built makes the command twice: the same or the same refusal.
func built(build builder) (decision, error) {
	c, refused := build()
	again, refusedAgain := build()
	if !reflect.DeepEqual(refused, refusedAgain) || refused == nil && !reflect.DeepEqual(c, again) {
		return decision{}, fmt.Errorf("the same request makes %+v (%v), then %+v (%v)", c, words(refused), again, words(refusedAgain))
	}
	return decision{command: c, refused: refused}, catalogued(refused)
}

// pure decides twice: the same events or the same refusal, never both, and the
// state stays as it was.
func pure(s *projection.State, partition int, decide func() ([]eventlog.Event, *api.Error)) ([]eventlog.Event, *api.Error, error) {
	watched := []int{partition, eventlog.DefinitionPartition, (partition*7 + 3) % eventlog.Partitions}
	before := hashes(s, watched...)
	due, any := s.NextDue()
	events, refused := decide()
	again, refusedAgain := decide()
	if !slices.Equal(before, hashes(s, watched...)) {
		return nil, nil, fmt.Errorf("the decision changes the state")
	}
	if dueAfter, anyAfter := s.NextDue(); due != dueAfter || any != anyAfter {
		return nil, nil, fmt.Errorf("the decision changes what is due")
	}
	if !reflect.DeepEqual(events, again) || !reflect.DeepEqual(refused, refusedAgain) {
		return nil, nil, fmt.Errorf("it is decided as %+v (%v), then as %+v (%v)", events, words(refused), again, words(refusedAgain))
	}
	if refused != nil && len(events) > 0 {
		return nil, nil, fmt.Errorf("it is refused (%v), and %d events follow", words(refused), len(events))
	}
	for _, e := range events {
		if e.Partition != partition {
			return nil, nil, fmt.Errorf("%s of %s is of partition %d, decided is %d", e.Type(), e.Subject, e.Partition, partition)
		}
	}
	return events, refused, catalogued(refused)
}

// words are a refusal's.
func words(refused *api.Error) string {
	if refused == nil {
		return "not refused"
	}
	return refused.Error()
}

// catalogued says whether a refusal is one of the contract's, with a sentence.
func catalogued(refused *api.Error) error {
	switch {
	case refused == nil:
		return nil
	case !slices.Contains(api.Codes(), refused.Code) || refused.Code == api.Internal:
		return fmt.Errorf("refused with %q, which callers do not know", refused.Code)
	case !strings.Contains(refused.Message, " "):
		return fmt.Errorf("refused without a sentence: %q", refused.Message)
	}
	return nil
}

// alone evolves by one event, which the auditor has nothing against, and which
// may touch its own partition only.
func (n *decider) alone(e *eventlog.Event, at projection.At, r rules) error {
	if err := r.object(n.state.Audit(e, at)); err != nil {
		return err
	}
	var others []int
	for _, p := range []int{eventlog.DefinitionPartition, (e.Partition + 1) % eventlog.Partitions, (e.Partition + int(e.Revision)*2 + 7) % eventlog.Partitions} {
		if p != e.Partition {
			others = append(others, p)
		}
	}
	before := hashes(n.state, others...)
	r.evolve(n.state, e, at)
	if !slices.Equal(before, hashes(n.state, others...)) {
		return fmt.Errorf("%s of partition %d changes another one of %v", e.Type(), e.Partition, others)
	}
	return nil
}

// hashes are those of the bytes of partitions.
func hashes(s *projection.State, partitions ...int) []uint64 {
	var all []uint64
	for _, p := range partitions {
		encoded, err := s.Partition(p).Encode()
		if err != nil {
			panic(err)
		}
		h := fnv.New64a()
		_, _ = h.Write(encoded) // a hash never refuses
		all = append(all, h.Sum64())
	}
	return all
}

// remembers judges the memory of requests right after one: the commit is known
// by the request's id, and a generated id is not.
func (w *world) remembers(n *decider, d decision) error {
	cause := d.command.RequestID()
	if len(d.events) == 0 || cause == "" {
		return nil
	}
	found := n.state.Partition(d.command.Partition()).Request(cause)
	if strings.HasPrefix(cause, eventlog.GeneratedCause) {
		if len(found) > 0 {
			return fmt.Errorf("request %s, whose id nobody chose, is remembered", cause)
		}
		return nil
	}
	w.cause[cause] = true
	if !slices.Contains(found, projection.Pending(uint64(len(n.commits)))) {
		return fmt.Errorf("request %s is remembered at %v, it is in the commit %d", cause, found, len(n.commits))
	}
	return nil
}
