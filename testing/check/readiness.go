package check

import "time"

// Readiness is what a node said of itself at a moment, and whether it then
// served a request.
type Readiness struct {
	Node          string
	At            time.Time
	Ready, Served bool
}

// Readiness judges N4: who says that it is ready serves, outside of faults.
func (v *Verdict) Readiness(all []Readiness) {
	for _, r := range all {
		if r.Ready && !r.Served && !v.during(r.At, 0, nil) {
			v.object("N4", nowhere(""), "node %s said at %s that it was ready, and did not serve", r.Node, stamp(r.At))
		}
	}
}
