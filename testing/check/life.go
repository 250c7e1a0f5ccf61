package check

import "time"

// Statuses of items and runs.
const (
	queued     = "Queued"
	processing = "Processing"
	completed  = "Completed"
	failed     = "Failed"
	canceled   = "Canceled"
)

// Life is the attempts of an item, or of a trigger's or a call's run.
type Life struct {
	Kind      string // item, run
	ID        string
	Due       time.Time
	Status    string
	Claims    []Claim
	Ends      int // terminal events
	Canceled  time.Time
	Started   time.Time // as the executor told of the first attempt that ended
	LastEvent string

	// EndSeq is the sequence of the commit that ended it.
	EndSeq uint64

	open   bool
	target string    // the function that it runs
	retry  time.Time // before which no attempt follows
}

// Claim is an attempt.
type Claim struct {
	Run, Executor, Incarnation string
	Attempt                    int
	At                         time.Time
	Seq                        uint64
	// Ended is how an event closed it: completed, failed, …; "" while it is open.
	Ended   string
	EndedAt time.Time

	version int // the function's newest at the claim; 0: it is gone
}

func (l *Life) ended() bool {
	return l.Status == completed || l.Status == failed || l.Status == canceled
}

// attempt judges the events that items and runs have in common.
func (v *Verdict) attempt(l *Life, e *Event) {
	if l.ended() {
		v.violation("R4: %s of %s %s at %d, after it was %s", e.Type, l.Kind, l.ID, e.Seq, l.Status)
	}
	l.LastEvent = e.Type
	switch e.verb() {
	case "claimed":
		v.must(l, e, queued)
		v.claimed(l, e)
		l.Status = processing
	case "interrupted", "retry_scheduled":
		v.must(l, e, processing)
		v.closed(l, e)
		l.Status, l.retry = queued, e.moment("retry_at")
	case "completed", "failed":
		v.must(l, e, processing)
		v.closed(l, e)
		l.Ends++
		l.EndSeq = e.Seq
		l.Status = completed
		if e.verb() == "failed" {
			l.Status = failed
		}
	case "canceled":
		if l.Status == processing {
			v.closed(l, e)
		}
		l.Ends++
		l.EndSeq = e.Seq
		l.Status, l.Canceled = canceled, e.Time
	default:
		v.violation("%s is no event of %ss (at %d)", e.Type, l.Kind, e.Seq)
	}
}

// must judges R1: a transition begins where it may.
func (v *Verdict) must(l *Life, e *Event, status string) {
	if l.Status != status {
		v.violation("R1: %s of %s %s at %d, while it was %s", e.Type, l.Kind, l.ID, e.Seq, l.Status)
	}
}

// claimed judges C1, C3 and R3: one claim for each attempt, in order, never
// before the due time.
func (v *Verdict) claimed(l *Life, e *Event) {
	c := Claim{
		Run: e.text("run"), Executor: e.text("executor"), Incarnation: e.text("incarnation"),
		Attempt: e.number("attempt"), At: e.Time, Seq: e.Seq, version: v.versions[l.target],
	}
	if l.open {
		v.violation("C1: %s %s is claimed at %d while a claim is open", l.Kind, l.ID, e.Seq)
	}
	if c.Attempt != len(l.Claims)+1 {
		v.violation("R3: %s %s has attempt %d after %d", l.Kind, l.ID, c.Attempt, len(l.Claims))
	}
	if c.At.Before(l.Due) {
		v.violation("C3: %s %s, due at %s, is claimed at %s", l.Kind, l.ID, stamp(l.Due), stamp(c.At))
	}
	if c.At.Before(l.retry) {
		v.violation("C3: %s %s, to be tried again at %s, is claimed at %s", l.Kind, l.ID, stamp(l.retry), stamp(c.At))
	}
	if c.Executor == "" {
		v.violation("the claim of %s %s at %d names no executor", l.Kind, l.ID, e.Seq)
	}
	l.Claims, l.open = append(l.Claims, c), true
}

// closed judges R2 and R3: what ends an attempt is of that attempt.
func (v *Verdict) closed(l *Life, e *Event) {
	if !l.open || len(l.Claims) == 0 {
		v.violation("R3: %s of %s %s at %d closes no open attempt", e.Type, l.Kind, l.ID, e.Seq)
		return
	}
	c := l.Claims[len(l.Claims)-1]
	if e.number("attempt") != c.Attempt || e.text("executor") != c.Executor || e.text("run") != c.Run {
		v.violation("R2: %s of %s %s at %d is of attempt %d on %s, open is %d on %s",
			e.Type, l.Kind, l.ID, e.Seq, e.number("attempt"), e.text("executor"), c.Attempt, c.Executor)
	}
	if l.Started.IsZero() {
		l.Started = e.moment("started_date")
	}
	if ran := e.number("function_version"); ran != 0 && c.version != 0 && ran != c.version {
		v.violation("C6: attempt %d of %s %s, claimed at %d, ran version %d of its function, the newest was %d", c.Attempt, l.Kind, l.ID, c.Seq, ran, c.version)
	}
	last := &l.Claims[len(l.Claims)-1]
	last.Ended, last.EndedAt = e.verb(), e.Time
	l.open = false
}

// lives are all items and runs.
func (v *Verdict) lives(yield func(id string, l *Life) bool) {
	for id, i := range v.Items {
		if !yield(id, &i.Life) {
			return
		}
	}
	for id, r := range v.Runs {
		if !yield(id, &r.Life) {
			return
		}
	}
}

// Journal compares what functions wrote outside with the claims (R6): entry
// names an item, or the run of a trigger or a call; count is how often it wrote
// its line. What completed wrote at least once, nothing wrote more often than
// it was claimed.
func (v *Verdict) Journal(wrote map[string]int) {
	for id, l := range v.lives {
		n := wrote[id]
		if n > len(l.Claims) {
			v.violation("R6: %s %s ran %d times and was claimed %d times", l.Kind, id, n, len(l.Claims))
		}
		if l.Status == completed && n == 0 {
			v.violation("R6: %s %s completed and never ran", l.Kind, id)
		}
	}
	for id := range wrote {
		if v.Items[id] == nil && v.Runs[id] == nil {
			v.violation("R6: %s ran and was never created", id)
		}
	}
}

// AllEnded judges R8: nothing is left open.
func (v *Verdict) AllEnded() {
	for id, l := range v.lives {
		if l.Ends != 1 {
			v.violation("R8: %s %s is %s with %d ends", l.Kind, id, l.Status, l.Ends)
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
