package check

import (
	"slices"
	"strings"
	"time"
)

// Fault is something that was done to the cluster. A zero To: it never ended.
// Of its Kind these words mean something: "clock", "skew" and "jump", that
// times which the node tells are not to be trusted any more, also after it;
// "split", "cut", "partition" and "network", that a read may be of the past.
type Fault struct {
	Kind, Node string
	From, To   time.Time
}

func clocks() []string { return []string{"clock", "skew", "jump"} }
func splits() []string { return []string{"split", "cut", "partition", "network"} }

// Faults hands in the faults. Call it before Lines, History and Readiness,
// which excuse what they explain.
func (v *Verdict) Faults(faults []Fault) {
	v.faults = append(v.faults, faults...)
	slices.SortFunc(v.faults, func(a, b Fault) int { return a.From.Compare(b.From) })
}

func (f *Fault) is(words func() []string) bool {
	if words == nil {
		return true
	}
	for _, w := range words() {
		if slices.Contains(strings.Fields(f.Kind), w) { // an executor is not "cut"
			return true
		}
	}
	return false
}

// during says that a moment falls into a fault of a kind, or into the time
// after it that it has its effect; nil words: of any kind.
func (v *Verdict) during(at time.Time, after time.Duration, words func() []string) bool {
	for n := range v.faults {
		if f := &v.faults[n]; f.is(words) && !at.Before(f.From) && (f.To.IsZero() || !at.After(f.To.Add(after))) {
			return true
		}
	}
	return false
}

// wrong says that a node's clock had been put wrong by a moment of another's.
func (v *Verdict) wrong(node string, at time.Time) bool {
	if v.Skew > 0 {
		return false // within Skew
	}
	for n := range v.faults {
		if f := &v.faults[n]; (f.Node == node || f.Node == "") && f.is(clocks) && !at.Before(f.From.Add(-clockMax)) {
			return true
		}
	}
	return false
}

// clockMax is how far behind the others a wrong clock may tell that it went
// wrong.
const clockMax = time.Hour

// slack is how much longer what may take from one moment to another may take:
// the union of the faults that overlap with it, and with what they add to it.
func (v *Verdict) slack(from, to time.Time) time.Duration {
	var slack time.Duration
	covered := from
	for n := range v.faults { // by their begin
		f := &v.faults[n]
		end := f.To
		if end.IsZero() {
			end = later(v.Last, to)
		}
		if f.From.After(to.Add(slack)) {
			break
		}
		if begin := later(f.From, covered); end.After(begin) {
			slack += end.Sub(begin)
			covered = end
		}
	}
	return slack
}
