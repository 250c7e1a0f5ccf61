package check

// Item is an item's life.
type Item struct {
	Life
}

func (v *Verdict) item(e *Event) {
	i, known := v.Items[e.Subject]
	if e.verb == "created" {
		if known {
			v.object("R1", e.place(), "item %s is created again at %d", e.Subject, e.Seq)
		}
		v.Items[e.Subject] = &Item{Life{
			Kind: "item", ID: e.Subject, Due: e.Data.RunDateTime, Status: queued, LastEvent: e.Type,
			partition: e.Partition, born: e.Seq, target: e.Data.target(),
		}}
		return
	}
	if !known {
		v.object("R1", e.place(), "%s at %d is of item %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if e.verb != "updated" {
		v.attempt(&i.Life, e)
		return
	}
	if i.ended() {
		v.object("R4", e.place(), "%s of item %s at %d, after it was %s", e.Type, i.ID, e.Seq, i.Status)
	} else {
		v.must(&i.Life, e, queued)
	}
	i.LastEvent = e.Type
	if due := e.Data.RunDateTime; !due.IsZero() {
		i.Due = due
	}
	if target := e.Data.target(); target != "" {
		i.target = target
	}
}

// Counts are how many items ended how.
func (v *Verdict) Counts() map[string]int {
	counts := map[string]int{}
	for _, i := range v.Items {
		counts[i.Status]++
	}
	return counts
}
