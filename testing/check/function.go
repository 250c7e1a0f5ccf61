package check

// function is a definition, as far as runs show what they took of it.
type function struct {
	version int
	gone    uint64 // the sequence that deleted it; 0: none did
}

func (v *Verdict) function(e *Event) {
	f := v.functions[e.Subject]
	switch {
	case e.verb == "created":
		v.functions[e.Subject] = &function{version: e.Data.version()}
		return
	case f == nil:
		v.object("R1", e.place(), "%s at %d is of function %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	case e.verb == "deleted":
		f.gone = e.Seq
		return
	}
	next := e.Data.version()
	if next == 0 { // its code is the same
		return
	}
	if next != f.version+1 {
		v.object("C6", e.place(), "function %s gets version %d at %d, after %d", e.Subject, next, e.Seq, f.version)
	}
	f.version = next
}

// newest judges C6 and C7 of an attempt that ended: it ran the newest code of
// when it was claimed, and not that of a function deleted before.
func (v *Verdict) newest(l *Life, c *Claim, e *Event) {
	ran, f := e.Data.FunctionVersion, v.functions[c.target]
	if ran == 0 || f == nil {
		return
	}
	switch {
	case f.gone != 0 && f.gone < c.Seq && e.verb == "completed":
		v.object("C7", e.place(), "%s %s, claimed at %d, completes at %d with function %s, which was deleted at %d", l.Kind, l.ID, c.Seq, e.Seq, c.target, f.gone)
	case ran != c.version:
		v.object("C6", e.place(), "%s %s ran version %d of %s, the newest at its claim at %d was %d", l.Kind, l.ID, ran, c.target, c.Seq, c.version)
	}
}
