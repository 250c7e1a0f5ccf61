package check

import "time"

// Statuses of an item.
const (
	queued     = "Queued"
	processing = "Processing"
	completed  = "Completed"
	failed     = "Failed"
	canceled   = "Canceled"
)

func (v *Verdict) item(e *Event) {
	i, known := v.Items[e.Subject]
	if e.Type == "belfry.item.created" {
		if known {
			v.violation("item %s is created again at %d", e.Subject, e.Seq)
		}
		v.Items[e.Subject] = &Item{ID: e.Subject, Due: e.moment("run_date_time"), Status: queued, LastEvent: e.Type}
		return
	}
	if !known {
		v.violation("%s at %d is of item %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if i.Status == completed || i.Status == failed || i.Status == canceled {
		v.violation("R4: %s of item %s at %d, after it was %s", e.Type, i.ID, e.Seq, i.Status)
	}
	i.LastEvent = e.Type
	switch e.Type {
	case "belfry.item.updated":
		v.must(i, e, queued)
		if due := e.moment("run_date_time"); !due.IsZero() {
			i.Due = due
		}
	case "belfry.item.claimed":
		v.must(i, e, queued)
		v.claimed(i, e)
		i.Status = processing
	case "belfry.item.interrupted", "belfry.item.retry_scheduled":
		v.must(i, e, processing)
		v.closed(i, e)
		i.Status = queued
	case "belfry.item.completed", "belfry.item.failed":
		v.must(i, e, processing)
		v.closed(i, e)
		i.Ends++
		i.Status = completed
		if e.Type == "belfry.item.failed" {
			i.Status = failed
		}
	case "belfry.item.canceled":
		if i.Status == processing {
			v.closed(i, e)
		}
		i.Ends++
		i.Status, i.Canceled = canceled, e.Time
	default:
		v.violation("%s is no event of items (at %d)", e.Type, e.Seq)
	}
}

// must judges R1: a transition begins where it may.
func (v *Verdict) must(i *Item, e *Event, status string) {
	if i.Status != status {
		v.violation("R1: %s of item %s at %d, while it was %s", e.Type, i.ID, e.Seq, i.Status)
	}
}

// claimed judges C1, C3 and R3: one claim for each attempt, in order, never
// before the due time.
func (v *Verdict) claimed(i *Item, e *Event) {
	c := Claim{
		Run: e.text("run"), Executor: e.text("executor"), Incarnation: e.text("incarnation"),
		Attempt: e.number("attempt"), At: e.Time, Seq: e.Seq,
	}
	if i.open {
		v.violation("C1: item %s is claimed at %d while a claim is open", i.ID, e.Seq)
	}
	if c.Attempt != len(i.Claims)+1 {
		v.violation("R3: item %s has attempt %d after %d", i.ID, c.Attempt, len(i.Claims))
	}
	if c.At.Before(i.Due) {
		v.violation("C3: item %s, due at %s, is claimed at %s", i.ID, i.Due.Format(time.RFC3339Nano), c.At.Format(time.RFC3339Nano))
	}
	if c.Executor == "" {
		v.violation("the claim of item %s at %d names no executor", i.ID, e.Seq)
	}
	i.Claims, i.open = append(i.Claims, c), true
}

// closed judges R2 and R3: what ends an attempt is of that attempt.
func (v *Verdict) closed(i *Item, e *Event) {
	if !i.open || len(i.Claims) == 0 {
		v.violation("R3: %s of item %s at %d closes no open attempt", e.Type, i.ID, e.Seq)
		return
	}
	c := i.Claims[len(i.Claims)-1]
	if e.number("attempt") != c.Attempt || e.text("executor") != c.Executor || e.text("run") != c.Run {
		v.violation("R2: %s of item %s at %d is of attempt %d on %s, open is %d on %s",
			e.Type, i.ID, e.Seq, e.number("attempt"), e.text("executor"), c.Attempt, c.Executor)
	}
	i.open = false
}

// Counts are how many items ended how.
func (v *Verdict) Counts() map[string]int {
	counts := map[string]int{}
	for _, i := range v.Items {
		counts[i.Status]++
	}
	return counts
}

// Journal compares what functions wrote outside with the claims (R6): entry
// names an item, count is how often it wrote its line. An item that completed
// wrote at least once, none wrote more often than it was claimed.
func (v *Verdict) Journal(wrote map[string]int) {
	for id, i := range v.Items {
		n := wrote[id]
		if n > len(i.Claims) {
			v.violation("R6: item %s ran %d times and was claimed %d times", id, n, len(i.Claims))
		}
		if i.Status == completed && n == 0 {
			v.violation("R6: item %s completed and never ran", id)
		}
	}
	for id := range wrote {
		if v.Items[id] == nil {
			v.violation("R6: item %s ran and was never created", id)
		}
	}
}

// AllEnded judges R8: nothing is left open.
func (v *Verdict) AllEnded() {
	for id, i := range v.Items {
		if i.Ends != 1 {
			v.violation("R8: item %s is %s with %d ends", id, i.Status, i.Ends)
		}
	}
}
