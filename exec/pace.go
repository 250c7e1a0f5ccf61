package exec

import (
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// Constants of the measurement.
const (
	// loopStandard is the loop time until it was measured.
	loopStandard = 3 * time.Millisecond
	// loopMin and loopMax bound a measured loop: below, the clock was read by
	// two goroutines; above, something else was slow.
	loopMin = 100 * time.Microsecond
	loopMax = 50 * time.Millisecond
	// longRun is what all longer runs count as: there is no backlog for them,
	// and a mean should find back from them.
	longRun = time.Second
	// soonTime is how long a claim takes at the most that answers a window.
	soonTime = 100 * time.Millisecond
	// margin on the backlog, since the loop is a mean.
	margin = 2
)

// pace is how fast runs end and how fast owners follow.
type pace struct {
	run  time.Duration // mean time that a run occupies a slot; 0 is not measured
	loop time.Duration // mean time from a free place to the run that takes it
}

// ran takes the time that a run occupied a slot.
func (p *pace) ran(d time.Duration) {
	p.run = mean(p.run, min(max(d, time.Microsecond), longRun))
}

// looped takes the time from the end of a run at a full window to the next.
func (p *pace) looped(d time.Duration) { p.loop = mean(p.loop, min(max(d, loopMin), loopMax)) }

// capacity is how many attempts may be open at all owners: the slots, and as
// many as end within a loop. stuck is how long all slots have been busy
// without one having become free: no run can be shorter than that.
func (p *pace) capacity(slots int, stuck time.Duration) int {
	loop := p.loop
	if loop == 0 {
		loop = loopStandard
	}
	return min(slots+p.ends(slots, margin*loop, stuck), wire.WindowMax)
}

// soon is how many attempts end before a claim could arrive.
func (p *pace) soon(slots int, stuck time.Duration) int { return p.ends(slots, soonTime, stuck) }

func (p *pace) ends(slots int, within, stuck time.Duration) int {
	if p.run == 0 {
		return 0
	}
	return int(min(time.Duration(slots)*within/max(p.run, stuck), wire.WindowMax))
}

func mean(old, sample time.Duration) time.Duration {
	if old == 0 {
		return sample
	}
	return old + (sample-old)/8
}
