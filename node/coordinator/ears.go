package coordinator

import (
	"maps"
	"slices"
	"time"
)

// ears are what a node hears of the others, and whether it hears at all.
type ears struct {
	silence, gapMax time.Duration

	since time.Time // we listen without a break since then
	last  time.Time // when our own voice came back last, in time
	nodes map[string]sign
	// ended are those whose processes have, by what else is known; a sign of life
	// is another process's.
	ended map[string]bool
}

// sign is a node's last sign of life.
type sign struct {
	beat
	at time.Time
}

// echo takes a beat of our own, sent at a time. What comes back late does not
// count: others' beats may be as late.
func (e *ears) echo(b beat, sent, now time.Time) {
	if now.Sub(sent) > e.gapMax {
		return
	}
	if now.Sub(e.last) > e.gapMax {
		e.since = now // a break has ended
	}
	e.last = now
	e.heard(b, now)
}

// heard takes another node's beat.
func (e *ears) heard(b beat, now time.Time) {
	e.nodes[b.Node] = sign{b, now}
	delete(e.ended, b.Node)
}

// missed are those who were heard lately, but not since a time.
func (e *ears) missed(since, now time.Time) (names []string) {
	for _, name := range e.living(now) {
		if e.nodes[name].at.Before(since) {
			names = append(names, name)
		}
	}
	return names
}

// end notes that a node's process has ended, unless it was heard since a time.
func (e *ears) end(node string, since time.Time) {
	if e.nodes[node].at.Before(since) {
		e.ended[node] = true
	}
}

// surely says whether who was not heard is gone: we heard our own voice all the
// time.
func (e *ears) surely(now time.Time) bool {
	return !e.last.IsZero() && now.Sub(e.last) <= e.gapMax && now.Sub(e.since) >= e.silence
}

// alive says whether a node was heard lately, and is not known to have ended.
// That it was not heard means something only surely.
func (e *ears) alive(node string, now time.Time) bool {
	s, known := e.nodes[node]
	return known && now.Sub(s.at) < e.silence && !e.ended[node]
}

// takes says whether a node may be given partitions.
func (e *ears) takes(node string, now time.Time) bool {
	return e.alive(node, now) && e.nodes[node].Ready
}

// living are those who were heard lately, sorted.
func (e *ears) living(now time.Time) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(e.nodes)) {
		if e.alive(name, now) {
			names = append(names, name)
		}
	}
	return names
}
