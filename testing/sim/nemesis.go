package sim

import (
	"context"
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
	defer end()
	switch kind {
	case faultCrash, faultCrashBlank:
		n.crash()
		if kind == faultCrashBlank {
			n.loseSnapshot()
		}
		time.Sleep(o.span(0, 15*scale))
		n.open()
	case faultDeploy:
		w.deploy(n)
	case faultPause, faultCut:
		w.trouble(n, kind, o.span(0, 20*scale))
	case faultBad:
		w.mood.set(false, true)
		time.Sleep(o.span(scale, 20*scale))
		w.mood.set(false, false)
	case faultClock:
		n.skew.Store(int64(o.span(-10*scale, 10*scale)))
		time.Sleep(o.span(0, 20*scale))
		n.skew.Store(int64(o.span(-scale/5, scale/5)))
	case faultHandOver:
		w.handOver(n)
	case faultTakeDead:
		n.crash()
		time.Sleep(o.span(0, 5*scale))
		w.take(n, 1)
		time.Sleep(o.span(0, 10*scale))
		n.open()
	case faultTakeSlow:
		w.takeSlow(n)
	case faultTakeLive:
		w.take(n, 1)
	case faultTwo:
		if o.chance(2) {
			n.crash()
		}
		w.take(n, 2)
		n.open()
	case faultTwin:
		n.boot()
		n.open()
	case faultLostInside:
		w.lostInside(n)
	case faultExecKill:
		h.kill()
		time.Sleep(o.span(0, 12*scale))
		w.revive(h)
	case faultExecCut:
		if l := h.running(); l != nil {
			l.sever(true)
			time.Sleep(o.span(0, 15*scale))
			l.sever(false)
		}
	case faultExecRestart:
		h.stop()
		w.revive(h)
	}
}

// revive has a host run an incarnation, if another fault has not done so.
func (w *World) revive(h *host) {
	if h.running() == nil {
		h.start()
	}
}

// deploy stops a node in good order, mostly after it gave away what it owns.
func (w strike) deploy(n *node) {
	p := n.process()
	if p == nil {
		return
	}
	if !w.odds.chance(3) {
		w.give(p, p.owned())
	}
	p.Stop()
	time.Sleep(w.odds.span(0, 5*w.plan.scale))
	n.open()
}

// trouble pauses a node's process, or cuts it off, for a while.
func (w strike) trouble(n *node, kind string, d time.Duration) {
	p := n.process()
	if p == nil {
		return
	}
	if kind == faultPause {
		p.life.pause()
		time.Sleep(d)
		p.life.resume()
		return
	}
	p.life.sever(true)
	time.Sleep(d)
	p.life.sever(false)
}

// handOver gives some of a node's partitions to another.
func (w strike) handOver(n *node) {
	p := n.process()
	if p == nil {
		return
	}
	mine := p.owned()
	if len(mine) == 0 {
		return
	}
	w.give(p, mine[w.odds.below(len(mine)):])
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

// take has other nodes take everything from one, as coordinators at once.
func (w strike) take(from *node, coordinators int) {
	var at work
	for range coordinators {
		p := pick(w.odds, w.nodes).process()
		if p == nil || p.node == from {
			continue
		}
		at.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = p.TakeFrom(ctx, from.name, w.spread(from.name, everyPartition())) // see give
		})
	}
	at.Wait()
}

func everyPartition() []int {
	all := make([]int, eventlog.Partitions)
	for n := range all {
		all[n] = n
	}
	return all
}

// takeSlow takes from a process that stands still, or hears nothing, and wakes.
func (w strike) takeSlow(n *node) {
	p := n.process()
	if p == nil {
		return
	}
	scale := w.plan.scale
	pause := w.odds.chance(2)
	if pause {
		p.life.pause()
	} else {
		p.life.sever(true)
	}
	time.Sleep(w.odds.span(0, 5*scale))
	w.take(n, 1)
	time.Sleep(w.odds.span(0, 5*scale))
	if pause {
		p.life.resume()
	} else {
		p.life.sever(false)
	}
}

// lostInside kills the nodes that take over, in the middle of it.
func (w strike) lostInside(from *node) {
	var at work
	at.Go(func() { w.take(from, 1) })
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
}
