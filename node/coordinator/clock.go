package coordinator

import (
	"slices"
	"time"
)

const (
	// samplesMax is over how many beats an offset is measured: their median does
	// not mind two that were long on their way.
	samplesMax = 5
	// samplesMin is how many an offset needs.
	samplesMin = 3
	// clocksMin is how many clocks have a median.
	clocksMin = 3
)

// clocks compare the time of day of the nodes with ours.
type clocks struct {
	off   time.Duration // the limit
	apart time.Duration // beats that come closer together were held up
	stale time.Duration // what was measured before a silence of this counts no more

	samples map[string]*samples
	last    time.Duration // wall minus monotonic time at the last look
	looked  bool
	// ill is how far our clock is off the median, once it is further than the
	// limit and until it is within half of it; 0: it is well.
	ill time.Duration
	// measuring: ours has jumped, and there are others by which nobody has
	// measured it since.
	measuring bool
	warned    bool // of two clocks that differ
}

// samples are how far another's clock was ahead of ours, by the last beats.
type samples struct {
	last []time.Duration
	at   time.Time
}

func (c *clocks) well() bool { return c.ill == 0 }

// trusted says whether what is due by our clock is due.
func (c *clocks) trusted() bool { return c.well() && !c.measuring }

// sample takes what a beat told. Of beats that come in a bunch only the last was
// not held up.
func (c *clocks) sample(node string, ahead time.Duration, now time.Time) {
	s := c.samples[node]
	if s == nil || now.Sub(s.at) > c.stale {
		s = &samples{}
		c.samples[node] = s
	}
	switch {
	case len(s.last) > 0 && now.Sub(s.at) < c.apart:
		s.last[len(s.last)-1] = ahead
	case len(s.last) == samplesMax:
		s.last = append(s.last[1:], ahead)
		s.at = now
	default:
		s.last = append(s.last, ahead)
		s.at = now
	}
}

// forget has everything measured anew.
func (c *clocks) forget() { clear(c.samples) }

// offset is how far a node's clock is ahead of ours.
func (c *clocks) offset(node string) (ahead time.Duration, known bool) {
	s := c.samples[node]
	if s == nil || len(s.last) < samplesMin {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(s.last))
	return sorted[len(sorted)/2], true
}

// jumped says whether wall time has parted from monotonic time since the last
// look; then everything is measured anew.
func (c *clocks) jumped(wall time.Time, age time.Duration) (by time.Duration) {
	between := time.Duration(wall.UnixNano()) - age
	by = between - c.last
	known := c.looked
	c.last, c.looked = between, true
	if !known || by.Abs() <= c.off/2 {
		return 0
	}
	c.forget()
	c.measuring = true
	return by
}

// verdict is what a look at all clocks came to.
type verdict struct {
	changed bool          // whether ours is well
	few     bool          // because too few clocks are left to say that it is not
	off     time.Duration // how far it is from the median
	two     string        // the one that ours differs from, where two have no median
	apart   time.Duration // by how much it is ahead
}

// judge compares our clock with those of the living others. Where too few are
// measured, nothing changes, but that a clock without enough others to say so is
// not called ill.
func (c *clocks) judge(others []string) (v verdict) {
	offsets := []time.Duration{0} // ours
	for _, node := range others {
		if ahead, known := c.offset(node); known {
			offsets = append(offsets, ahead)
		}
	}
	switch {
	case len(others)+1 < clocksMin:
		c.measuring = false // nobody can tell
		v.changed, v.few, c.ill = c.ill != 0, c.ill != 0, 0
		if len(offsets) == 2 && offsets[1].Abs() > c.off {
			if !c.warned {
				v.two, v.apart = others[0], offsets[1]
			}
			c.warned = true
		} else {
			c.warned = false
		}
	case len(offsets) >= clocksMin:
		c.measuring = false
		v.off = -middle(offsets)
		well := v.off.Abs() <= c.off
		if c.ill != 0 {
			well = v.off.Abs() <= c.off/2
		}
		v.changed = well != (c.ill == 0)
		if c.ill = 0; !well {
			c.ill = v.off
		}
	}
	return v
}

// middle is the median of offsets; of two in the middle that which is nearer to
// ours, since nobody can know which is right.
func middle(offsets []time.Duration) time.Duration {
	slices.Sort(offsets)
	low, high := offsets[(len(offsets)-1)/2], offsets[len(offsets)/2]
	if low.Abs() < high.Abs() {
		return low
	}
	return high
}

// lookAtClocks judges ours, and says what is new.
func (c *Coordinator) lookAtClocks() {
	c.mu.Lock()
	now := time.Now()
	jump := c.clocks.jumped(c.cfg.Clock(), time.Since(c.born))
	others := slices.DeleteFunc(c.ears.living(now), func(name string) bool { return name == c.cfg.Node })
	v := c.clocks.judge(others)
	ill, hold := c.clocks.ill, !c.clocks.trusted()
	c.mu.Unlock()
	if hold != c.held {
		c.held = hold
		c.cfg.Hold(hold)
	}
	log := c.cfg.Logger.With("node", c.cfg.Node)
	if jump != 0 {
		log.Warn("the clock has jumped: nothing is claimed until it is compared with the others' anew", "by", jump)
	}
	switch {
	case v.changed && ill != 0:
		log.Error("this node's clock is off: it claims nothing and gives its partitions to others; set the clock", "off", v.off)
	case v.few:
		log.Warn("this node's clock was off, and too few others are left to say so: it goes on; set the clock")
	case v.changed:
		log.Info("this node's clock is within limits again", "off", v.off)
	case v.two != "":
		log.Warn("two clocks differ and nobody can tell which is right: set them", "other", v.two, "ahead", v.apart)
	}
}
