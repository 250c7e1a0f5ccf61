package check

// rested judges C5 and C7 from a client's side: after a pause, a deletion or a
// cancel was acknowledged, nothing is claimed any more. What of it stands in the
// log was judged there; this is about what was told and does not.
func (v *Verdict) rested(o *Op) {
	if !o.told() || o.ID == "" {
		return
	}
	switch o.Verb {
	case "trigger.pause":
		if !v.shows(o, paused, deleted) {
			v.startsAfter(o, "C5")
		}
	case "trigger.delete":
		if !v.shows(o, deleted) {
			v.startsAfter(o, "C7")
		}
	case "item.cancel", "run.cancel":
		if l := v.life(o.ID); l != nil && !v.shows(o, canceled) {
			v.claimsAfter(o, "C7", l)
		}
	}
}

// shows says that the log has the entity in such a status, by this op or as it
// found it.
func (v *Verdict) shows(o *Op, statuses ...string) bool {
	c := v.chainOf(o)
	if c == nil {
		return false
	}
	for _, s := range c.steps {
		for _, status := range statuses {
			if s.status == status && (o.cause() != "" && s.cause == o.cause() || s.seq == o.Seq || o.Seq == 0) {
				return true
			}
		}
	}
	return false
}

// startsAfter judges the runs of a trigger.
func (v *Verdict) startsAfter(o *Op, property string) {
	for id, l := range v.lives {
		if r := v.Runs[id]; r != nil && r.Trigger == o.ID && (!r.Manual || property == "C7") {
			v.claimsAfter(o, property, l)
		}
	}
}

// claimsAfter judges the claims of one life: a first attempt that was claimed
// after the op had returned, and the trigger not resumed meanwhile.
func (v *Verdict) claimsAfter(o *Op, property string, l *Life) {
	for _, c := range l.Claims {
		if !c.At.After(o.Returned.Add(v.Skew)) || property == "C5" && c.Attempt != 1 || v.wrong(c.lane, o.Returned) {
			continue
		}
		if t := v.Triggers[o.ID]; t != nil && t.resumedBetween(o.Seq, c.Seq) {
			continue
		}
		v.object(property, l.place(c.Seq), "%s %s is claimed at %d, at %s, after %s had been acknowledged at %s", l.Kind, l.ID, c.Seq, stamp(c.At), o, stamp(o.Returned))
	}
}

func (t *Trigger) resumedBetween(after, before uint64) bool {
	for _, seq := range t.resumed {
		if seq > after && seq < before {
			return true
		}
	}
	return false
}
