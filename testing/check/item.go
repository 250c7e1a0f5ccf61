package check

// Item is an item's life.
type Item struct {
	Life
}

func (v *Verdict) item(e *Event) {
	i, known := v.Items[e.Subject]
	if e.verb() == "created" {
		if known {
			v.violation("item %s is created again at %d", e.Subject, e.Seq)
		}
		v.Items[e.Subject] = &Item{Life{Kind: "item", ID: e.Subject, Due: e.moment("run_date_time"), Status: queued, LastEvent: e.Type, target: e.id("function")}}
		return
	}
	if !known {
		v.violation("%s at %d is of item %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if e.verb() != "updated" {
		if at := e.moment("scheduled_for"); e.verb() == "claimed" && !at.IsZero() && !at.Equal(i.Due) {
			v.violation("C6: item %s is claimed at %d for %s, it is due at %s", i.ID, e.Seq, stamp(at), stamp(i.Due))
		}
		v.attempt(&i.Life, e)
		return
	}
	v.must(&i.Life, e, queued)
	i.LastEvent = e.Type
	if due := e.moment("run_date_time"); !due.IsZero() {
		i.Due = due
	}
	if e.has("function") || e.has("automation") {
		i.target = e.id("function")
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
