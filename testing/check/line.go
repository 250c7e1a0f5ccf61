package check

import (
	"slices"
	"strings"
	"time"
)

// Line is what a function wrote outside Belfry when it began, and when it ended.
type Line struct {
	ID                    string // of the item, or of the run of a trigger or a call
	Run                   string // "": the one that ID has
	Attempt               int
	Executor, Incarnation string // as the executor itself calls them; "": not told
	Start, End            time.Time
	Ended                 bool
	Scheduled             []string // the items that it was told are stored
}

// life finds what a line is of.
func (v *Verdict) life(id string) *Life {
	if i := v.Items[id]; i != nil {
		return &i.Life
	}
	if r := v.Runs[id]; r != nil {
		return &r.Life
	}
	if i := v.Items["sci_"+strings.TrimPrefix(id, "run_")]; i != nil && strings.HasPrefix(id, "run_") {
		return &i.Life
	}
	return nil
}

// Lines judges R6: each line is of one claim, none begins before it, no attempt
// ran twice, and what completed ran. A line of another executor or incarnation
// is R2, one before its due time C3, one of what a backup knew as ended B1. With
// Lateness set, it judges when occurrences started (C3).
func (v *Verdict) Lines(lines []Line) {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.Start.Compare(b.Start) })
	for n := range lines {
		v.line(&lines[n])
	}
	for _, l := range v.lives {
		if l.Status != completed {
			continue
		}
		if n := len(l.Claims) - 1; n >= 0 && l.Claims[n].Seq <= l.ends {
			v.finished(l, &l.Claims[n])
		}
	}
	if v.Lateness > 0 {
		v.windows(lines)
	}
}

func (v *Verdict) line(x *Line) {
	l := v.life(x.ID)
	if l == nil {
		v.object("R6", nowhere(x.ID), "%s ran at %s on %s and was never created", x.ID, stamp(x.Start), x.Executor)
		return
	}
	if b := v.backup; b != nil && l.ends != 0 && l.ends <= b.seq && x.Start.After(b.at) {
		v.object("B1", l.place(l.ends), "%s %s had ended at %d, the backup ends at %d, and it ran at %s", l.Kind, l.ID, l.ends, b.seq, stamp(x.Start))
		return
	}
	c := l.claimOf(x)
	if c == nil {
		v.object("R6", l.place(l.lastSeq()), "attempt %d of %s %s (%s) ran at %s on %s and was never claimed", x.Attempt, l.Kind, l.ID, x.Run, stamp(x.Start), x.Executor)
		return
	}
	at := l.place(c.Seq)
	for _, id := range x.Scheduled {
		if i := v.Items[id]; i == nil || i.scheduledBy != c.Run {
			v.object("L1", at, "attempt %d of %s %s was told that its item %s is stored, and the log does not have it", x.Attempt, l.Kind, l.ID, id)
		}
	}
	switch {
	case x.Executor != "" && x.Executor != c.Executor:
		v.object("R2", at, "attempt %d of %s %s ran on %s, claimed for %s at %d", x.Attempt, l.Kind, l.ID, x.Executor, c.Executor, c.Seq)
		return
	case x.Incarnation != "" && c.Incarnation != "" && x.Incarnation != c.Incarnation:
		v.object("R2", at, "attempt %d of %s %s ran in incarnation %s of %s, claimed for %s at %d", x.Attempt, l.Kind, l.ID, x.Incarnation, c.Executor, c.Incarnation, c.Seq)
		return
	}
	c.ended = c.ended || x.Ended
	c.end = later(c.end, x.End)
	if c.lines++; c.lines > 1 {
		v.object("R6", at, "attempt %d of %s %s ran %d times, the last at %s", x.Attempt, l.Kind, l.ID, c.lines, stamp(x.Start))
	}
	if v.wrong(c.lane, x.Start) {
		return // the node's times are not to be compared
	}
	switch {
	case x.Start.Add(v.Skew).Before(c.At):
		v.object("R6", at, "attempt %d of %s %s ran at %s, before its claim at %d of %s", x.Attempt, l.Kind, l.ID, stamp(x.Start), c.Seq, stamp(c.At))
	case x.Start.Add(v.Skew).Before(c.due):
		v.object("C3", at, "attempt %d of %s %s ran at %s, it is due at %s", x.Attempt, l.Kind, l.ID, stamp(x.Start), stamp(c.due))
	}
}

// finished judges that an attempt which completed ran (R6), came to its end
// where it was claimed for, and not after the end was told (R2): a result that
// is there sooner is another attempt's.
func (v *Verdict) finished(l *Life, c *Claim) {
	at := l.place(l.ends)
	switch {
	case c.lines == 0:
		v.object("R6", at, "%s %s completed with attempt %d, of which no function wrote", l.Kind, l.ID, c.Attempt)
	case !c.ended:
		v.object("R2", at, "%s %s completed with attempt %d on %s, where it did not come to its end", l.Kind, l.ID, c.Attempt, c.Executor)
	case c.end.After(c.closed.Add(v.Skew+time.Millisecond)) && !v.wrong(c.closer, c.end):
		v.object("R2", at, "%s %s completed at %s with attempt %d on %s, where it came to its end at %s", l.Kind, l.ID, stamp(c.closed), c.Attempt, c.Executor, stamp(c.end))
	}
}

// claimOf is the claim of a line's attempt; nil if there is none.
func (l *Life) claimOf(x *Line) *Claim {
	for n := range l.Claims {
		if c := &l.Claims[n]; c.Attempt == x.Attempt && (x.Run == "" || x.Run == c.Run) {
			return c
		}
	}
	return nil
}

// Journal compares what functions wrote outside with the claims (R6): entry
// names an item, or the run of a trigger or a call; count is how often it wrote
// its line. What completed wrote at least once, nothing wrote more often than
// it was claimed.
func (v *Verdict) Journal(wrote map[string]int) {
	for id, l := range v.lives {
		n := wrote[id]
		if n > len(l.Claims) {
			v.object("R6", l.place(l.lastSeq()), "%s %s ran %d times and was claimed %d times", l.Kind, id, n, len(l.Claims))
		}
		if l.Status == completed && n == 0 {
			v.object("R6", l.place(l.ends), "%s %s completed and never ran", l.Kind, id)
		}
	}
	for id := range wrote {
		if v.Items[id] == nil && v.Runs[id] == nil {
			v.object("R6", nowhere(id), "%s ran and was never created", id)
		}
	}
}
