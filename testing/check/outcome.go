package check

import (
	"fmt"
	"strings"
)

// Judgement is what a verdict comes to.
type Judgement int

// The judgements.
const (
	Clean        Judgement = iota // nothing was found
	Broken                        // a property does not hold
	Inconclusive                  // nothing was found, and too little was seen
)

func (j Judgement) String() string { return [...]string{"clean", "broken", "inconclusive"}[j] }

// Minimum is how much must have happened for a pass to mean something.
type Minimum struct {
	Ops, Events, Faults, Ended int
}

// Enough is nil if at least so much was seen, else an error that says what is
// lacking: such a run is no pass. Call it last.
func (v *Verdict) Enough(least Minimum) error {
	ended := 0
	for _, l := range v.lives {
		if l.ended() {
			ended++
		}
	}
	v.lacks = nil
	for _, x := range []struct {
		of          string
		seen, least int
	}{
		{"ops", v.ops, least.Ops}, {"events", v.Events, least.Events},
		{"faults", len(v.faults), least.Faults}, {"items and runs that ended", ended, least.Ended},
	} {
		if x.seen < x.least {
			v.lacks = append(v.lacks, fmt.Sprintf("%d of %d %s", x.seen, x.least, x.of))
		}
	}
	if len(v.lacks) == 0 {
		return nil
	}
	return fmt.Errorf("inconclusive: %s", strings.Join(v.lacks, ", "))
}

// Outcome is what the verdict comes to, with what was handed in so far.
func (v *Verdict) Outcome() Judgement {
	switch {
	case len(v.Violations) > 0:
		return Broken
	case len(v.lacks) > 0:
		return Inconclusive
	}
	return Clean
}
