package sim

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// Faults that a nemesis can bring about. Each returns when it is over, but for
// what it leaves behind.
const (
	faultCrash       = "crash"
	faultCrashBlank  = "crash, snapshot lost"
	faultDeploy      = "deploy"
	faultPause       = "pause"
	faultCut         = "cut off"
	faultBad         = "log and network troubled"
	faultClock       = "clock"
	faultHandOver    = "orderly hand-over"
	faultTakeDead    = "taken from the dead"
	faultTakeSlow    = "taken from the slow"
	faultTakeLive    = "taken from the living"
	faultTwo         = "two coordinators"
	faultTwin        = "second process of a name"
	faultLostInside  = "owner lost while it takes over"
	faultExecKill    = "executor killed"
	faultExecCut     = "executor cut off and back late"
	faultExecRestart = "executor restarted"
)

// faultKinds are all of them, some with more weight.
func faultKinds() []string {
	return []string{
		faultCrash, faultCrash, faultCrashBlank, faultDeploy, faultPause, faultCut, faultBad, faultBad, faultClock,
		faultHandOver, faultHandOver, faultTakeDead, faultTakeDead, faultTakeSlow, faultTakeLive, faultTwo, faultTwin,
		faultLostInside, faultExecKill, faultExecKill, faultExecCut, faultExecRestart,
	}
}

// nemesis brings faults about, one after the other and sometimes two at once.
func (w *World) nemesis(length time.Duration) {
	end, o := time.Now().Add(length), w.oddsOf("nemesis")
	var under work
	for time.Now().Before(end) {
		time.Sleep(o.span(0, 20*w.plan.scale*w.pace()))
		s := strike{World: w, odds: w.oddsOf(w.nextName("strike"))}
		if o.chance(4) {
			under.Go(s.fall)
			continue
		}
		s.fall()
	}
	under.Wait()
}

// strike is one fault, with a chance of its own.
type strike struct {
	*World
	odds *odds
}

// pace stretches the pauses between faults in a world of days.
func (w *World) pace() time.Duration {
	if w.plan.scale > time.Second {
		return 10
	}
	return 1
}

// fall brings the fault about.
func (w strike) fall() {
	o, scale := w.odds, w.plan.scale
	kind, n, h := pick(o, w.plan.kinds), pick(o, w.nodes), pick(o, w.hosts)
	end := w.faults.begin(kind, n.name)
	defer func() { end(kind) }()
	// instead is the fault that was met if kind could not be thrown.
	instead := func(thrown bool, met string) {
		if !thrown {
			kind = met
		}
	}
	switch kind {
	case faultCrash, faultCrashBlank:
		n.crash()
		if kind == faultCrashBlank {
			n.loseSnapshot()
		}
		time.Sleep(o.span(0, 15*scale))
		n.open()
	case faultDeploy:
		instead(w.deploy(n), "")
	case faultPause, faultCut:
		instead(w.trouble(n, kind, o.span(0, 20*scale)), "")
	case faultBad:
		w.mood.set(false, true)
		time.Sleep(o.span(scale, 20*scale))
		w.mood.set(false, false)
	case faultClock:
		n.skew.Store(int64(o.span(-10*scale, 10*scale)))
		time.Sleep(o.span(0, 20*scale))
		n.skew.Store(int64(o.span(-scale/5, scale/5)))
	case faultHandOver:
		instead(w.handOver(n), "")
	case faultTakeDead:
		instead(w.takeDead(n), faultCrash)
	case faultTakeSlow:
		w.takeSlow(n, instead)
	case faultTakeLive:
		_, moved := w.take(n, 1)
		instead(moved > 0, "")
	case faultTwo:
		met := faultTakeLive
		if o.chance(2) {
			n.crash()
			met = faultCrash
		}
		asked, _ := w.take(n, 2)
		instead(asked == 2, met)
		n.open()
	case faultTwin:
		n.boot()
		n.open()
	case faultLostInside:
		instead(w.lostInside(n), faultCrash)
	case faultExecKill:
		h.kill()
		time.Sleep(o.span(0, 12*scale))
		w.revive(h)
	case faultExecCut:
		l := h.running()
		instead(l != nil, "")
		if l != nil {
			l.sever(true)
			time.Sleep(o.span(0, 15*scale))
			l.sever(false)
		}
	case faultExecRestart:
		h.stop()
		w.revive(h)
	}
}

// takeDead takes what a node owned after it crashed, and then starts it again.
func (w strike) takeDead(n *node) bool {
	n.crash()
	time.Sleep(w.odds.span(0, 5*w.plan.scale))
	_, moved := w.take(n, 1)
	time.Sleep(w.odds.span(0, 10*w.plan.scale))
	n.open()
	return moved > 0
}

// revive has a host run an incarnation, if another fault has not done so.
func (w *World) revive(h *host) {
	if h.running() == nil {
		h.start()
	}
}

// deploy stops a node in good order, mostly after it gave away what it owns.
func (w strike) deploy(n *node) bool {
	p := n.process()
	if p == nil {
		return false
	}
	switch dice := w.odds.chance(3); {
	case dice:
	case p.part != nil:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_ = p.part.Leave(ctx) // see give
		cancel()
	default:
		w.give(p, p.owned())
	}
	p.Stop()
	time.Sleep(w.odds.span(0, 5*w.plan.scale))
	n.open()
	return true
}

// trouble pauses a node's process, or cuts it off, for a while.
func (w strike) trouble(n *node, kind string, d time.Duration) bool {
	p := n.process()
	if p == nil {
		return false
	}
	if kind == faultPause {
		p.life.pause()
		time.Sleep(d)
		p.life.resume()
		return true
	}
	p.life.sever(true)
	time.Sleep(d)
	p.life.sever(false)
	return true
}

// handOver gives some of a node's partitions to another.
func (w strike) handOver(n *node) bool {
	p := n.process()
	if p == nil {
		return false
	}
	mine := p.owned()
	if len(mine) == 0 {
		return false
	}
	w.give(p, mine[w.odds.below(len(mine)):])
	return true
}

// give hands partitions over, evenly, to the other nodes.
func (w strike) give(p *process, partitions []int) {
	for to, some := range w.spread(p.node.name, partitions) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_ = p.GiveAway(ctx, to, some) // that it fails is part of the game; the judge sees what came of it
		cancel()
	}
}

// spread divides partitions among all nodes but one.
func (w strike) spread(but string, partitions []int) map[string][]int {
	to := map[string][]int{}
	var others []string
	for _, n := range w.nodes {
		if n.name != but {
			others = append(others, n.name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	first := w.odds.below(len(others))
	for n, p := range partitions {
		name := others[(first+n)%len(others)]
		to[name] = append(to[name], p)
	}
	return to
}

// take has other nodes take everything from one, as coordinators at once. It
// returns how many were asked, and how many of their moves were stored.
func (w strike) take(from *node, coordinators int) (asked, moved int) {
	var living []*process
	for _, n := range w.nodes {
		if p := n.process(); p != nil && n != from {
			living = append(living, p)
		}
	}
	var at work
	var stored atomic.Int64
	for ; asked < coordinators && len(living) > 0; asked++ {
		n := w.odds.below(len(living))
		p := living[n]
		living = slices.Delete(living, n, n+1)
		to := w.spread(from.name, everyPartition())
		at.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if p.TakeFrom(ctx, from.name, to) == nil { // see give
				stored.Add(1)
			}
		})
	}
	at.Wait()
	return asked, int(stored.Load())
}

func everyPartition() []int {
	all := make([]int, eventlog.Partitions)
	for n := range all {
		all[n] = n
	}
	return all
}

// takeSlow takes from a process that stands still, or hears nothing, and wakes.
func (w strike) takeSlow(n *node, instead func(thrown bool, met string)) {
	p := n.process()
	if p == nil {
		instead(false, "")
		return
	}
	scale := w.plan.scale
	pause, met := w.odds.chance(2), faultCut
	if pause {
		met = faultPause
		p.life.pause()
	} else {
		p.life.sever(true)
	}
	time.Sleep(w.odds.span(0, 5*scale))
	_, moved := w.take(n, 1)
	time.Sleep(w.odds.span(0, 5*scale))
	if pause {
		p.life.resume()
	} else {
		p.life.sever(false)
	}
	instead(moved > 0, met)
}

// lostInside kills the nodes that take over, in the middle of it.
func (w strike) lostInside(from *node) bool {
	var at work
	asked := 0
	at.Go(func() { asked, _ = w.take(from, 1) })
	time.Sleep(w.odds.span(0, 20*time.Millisecond))
	for _, n := range w.nodes {
		if n != from && w.odds.chance(2) {
			n.crash()
		}
	}
	at.Wait()
	time.Sleep(w.odds.span(0, 10*w.plan.scale))
	for _, n := range w.nodes {
		n.open()
	}
	return asked > 0
}
