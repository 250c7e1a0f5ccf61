package check

import "strings"

// ownership is who may write of what: L7 and N1. It is judged from the first
// message on, if that is a genesis; logs of tests may have none.
type ownership struct {
	known  bool
	of     [partitions]string
	opened map[string]string // lane → process that opened it last
	ended  map[string]bool   // processes that were replaced
}

// owned judges L7 of an event: it stands in the lane of the node that owned its
// partition there. A lane holds what its own node wrote, but for moves, which a
// coordinator writes into the lane of who is gone.
func (v *Verdict) owned(e *Event, lane string) {
	o := &v.owners
	if e.Entity == "partitions" {
		v.moved(e, lane)
		return
	}
	if e.Source != "/belfry/"+lane {
		v.violation("L7: event %s of %s stands in lane %s", e.ID, e.Source, lane)
	}
	if e.Entity == "node" {
		v.opens(e, lane)
		return
	}
	if o.known && e.Seq > 1 && e.Partition >= 0 && e.Partition < partitions && o.of[e.Partition] != lane {
		v.violation("L7: %s of %s at %d stands in the lane of %s, its partition %d belongs to %s", e.Type, e.Subject, e.Seq, lane, e.Partition, o.of[e.Partition])
	}
}

// moved judges N1: partitions are given by who has them, once.
func (v *Verdict) moved(e *Event, lane string) {
	o := &v.owners
	genesis := e.Seq == 1
	if genesis {
		o.known = true
	}
	if !o.known {
		return
	}
	to := e.text("to")
	list, _ := e.Data["partitions"].([]any)
	for _, x := range list {
		f, _ := x.(float64)
		p := int(f)
		switch {
		case p < 0 || p >= partitions:
			v.violation("N1: %s at %d moves partition %d, which does not exist", e.Type, e.Seq, p)
		case to == "":
			v.violation("N1: %s at %d gives partition %d to nobody", e.Type, e.Seq, p)
		case !genesis && o.of[p] != lane:
			v.violation("N1: %s at %d in the lane of %s gives partition %d away, it belongs to %s", e.Type, e.Seq, lane, p, o.of[p])
		default:
			o.of[p] = to
		}
	}
	for p, owner := range o.of {
		if genesis && owner == "" {
			v.violation("N1: the genesis gives partition %d to nobody", p)
		}
	}
}

// opens judges that a replaced process never opens its lane again.
func (v *Verdict) opens(e *Event, lane string) {
	o := &v.owners
	if o.opened == nil {
		o.opened, o.ended = map[string]string{}, map[string]bool{}
	}
	process := e.text("process")
	if e.Subject != lane {
		v.violation("L7: %s at %d opens the lane of %s in that of %s", e.Type, e.Seq, e.Subject, lane)
	}
	if o.ended[process] {
		v.violation("L7: process %s opens the lane of %s at %d, after it was replaced", process, lane, e.Seq)
	}
	if before, opened := o.opened[lane]; opened {
		o.ended[before] = true
	}
	o.opened[lane] = process
}

// Owned judges N1 at the end: the log began with a genesis, and each partition
// has an owner, who is one of those that live.
func (v *Verdict) Owned(living ...string) {
	if !v.owners.known {
		v.violation("N1: the log does not begin with a genesis")
		return
	}
	names := " " + strings.Join(living, " ") + " "
	for p, owner := range v.owners.of {
		if len(living) > 0 && !strings.Contains(names, " "+owner+" ") {
			v.violation("N1: partition %d belongs to %q, which does not live", p, owner)
		}
	}
}
