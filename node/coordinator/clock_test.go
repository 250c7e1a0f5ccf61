package coordinator

import (
	"testing"
	"time"
)

func newClocks() *clocks {
	return &clocks{off: 250 * ms, apart: 125 * ms, stale: 1500 * ms, samples: map[string]*samples{}}
}

// hearing has every node heard n times, a beat apart.
func (c *clocks) hearing(now *time.Time, n int, ahead map[string]time.Duration) {
	for range n {
		*now = now.Add(250 * ms)
		for node, d := range ahead {
			c.sample(node, d, *now)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		ahead  map[string]time.Duration
		others []string
		ill    bool
		two    string
	}{
		"three that agree":              {map[string]time.Duration{"b": 10 * ms, "c": -20 * ms}, []string{"b", "c"}, false, ""},
		"ours is behind":                {map[string]time.Duration{"b": 300 * ms, "c": 310 * ms}, []string{"b", "c"}, true, ""},
		"ours is ahead":                 {map[string]time.Duration{"b": -time.Hour, "c": -time.Hour}, []string{"b", "c"}, true, ""},
		"another's is off":              {map[string]time.Duration{"b": time.Hour, "c": 0}, []string{"b", "c"}, false, ""},
		"all differ and ours is amidst": {map[string]time.Duration{"b": time.Hour, "c": -time.Hour}, []string{"b", "c"}, false, ""},
		"two against two":               {map[string]time.Duration{"b": 0, "c": time.Hour, "d": time.Hour}, []string{"b", "c", "d"}, false, ""},
		"one against three":             {map[string]time.Duration{"b": time.Hour, "c": time.Hour, "d": time.Hour}, []string{"b", "c", "d"}, true, ""},
		"two have no median":            {map[string]time.Duration{"b": time.Hour}, []string{"b"}, false, "b"},
		"who is gone has no voice":      {map[string]time.Duration{"b": time.Hour, "c": time.Hour}, []string{"b"}, false, "b"},
		"just within the limit":         {map[string]time.Duration{"b": 250 * ms, "c": 250 * ms}, []string{"b", "c"}, false, ""},
		"alone":                         {nil, nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clocks, now := newClocks(), time.Now()
			clocks.hearing(&now, samplesMax, c.ahead)
			v := clocks.judge(c.others)
			if clocks.well() == c.ill || v.changed != c.ill || v.two != c.two {
				t.Errorf("well: %t, %+v", clocks.well(), v)
			}
			if again := clocks.judge(c.others); again.changed || again.two != "" {
				t.Errorf("said twice: %+v", again)
			}
		})
	}
}

// A clock at the limit does not move partitions to and fro.
func TestAClockIsWellAgainOnlyWhenItClearlyIs(t *testing.T) {
	clocks, now := newClocks(), time.Now()
	for _, c := range []struct {
		ahead time.Duration
		well  bool
	}{{240 * ms, true}, {260 * ms, false}, {240 * ms, false}, {130 * ms, false}, {120 * ms, true}, {240 * ms, true}} {
		clocks.hearing(&now, samplesMax, map[string]time.Duration{"b": c.ahead, "c": c.ahead})
		clocks.judge([]string{"b", "c"})
		if clocks.well() != c.well {
			t.Errorf("%s off: well is %t", c.ahead, clocks.well())
		}
	}
}

// What was long on its way tells nothing of a clock.
func TestOffsetsAreRobust(t *testing.T) {
	clocks, now := newClocks(), time.Now()
	for n, late := range []time.Duration{0, 0, 2 * time.Second, 0, 3 * time.Second} {
		now = now.Add(250 * ms)
		clocks.sample("b", -late, now)
		if ahead, known := clocks.offset("b"); known != (n >= 2) || ahead != 0 {
			t.Errorf("after beat %d: %s, %t", n, ahead, known)
		}
	}
	for held := 20 * time.Second; held >= 0; held -= 250 * ms { // all at once
		clocks.sample("b", -held, now)
	}
	if ahead, _ := clocks.offset("b"); ahead != 0 {
		t.Errorf("beats that were held up put the clock off by %s", ahead)
	}
	now = now.Add(time.Minute)
	clocks.sample("b", time.Hour, now)
	if _, known := clocks.offset("b"); known {
		t.Error("what was measured a minute ago counts")
	}
}

// After a jump of wall against monotonic time, old measurements are void; until
// there are new ones the verdict stands.
func TestAJumpIsMeasuredAnew(t *testing.T) {
	clocks, now, wall := newClocks(), time.Now(), time.Now()
	agree := map[string]time.Duration{"b": 0, "c": 0}
	clocks.hearing(&now, samplesMax, agree)
	for n := range 4 {
		if by := clocks.jumped(wall.Add(time.Duration(n)*250*ms), time.Duration(n)*250*ms); by != 0 {
			t.Errorf("a jump by %s", by)
		}
	}
	if by := clocks.jumped(wall.Add(11*time.Second), time.Second); by != 10*time.Second {
		t.Errorf("a jump by %s", by)
	}
	if _, known := clocks.offset("b"); known {
		t.Error("what was measured before the jump counts")
	}
	if v := clocks.judge([]string{"b", "c"}); v.changed || !clocks.well() || clocks.trusted() {
		t.Errorf("a verdict by what was before: %+v, trusted: %t", v, clocks.trusted())
	}
	clocks.hearing(&now, samplesMin, map[string]time.Duration{"b": -10 * time.Second, "c": -10 * time.Second})
	if v := clocks.judge([]string{"b", "c"}); !v.changed || v.off != 10*time.Second {
		t.Errorf("measured anew: %+v", v)
	}
	if v := clocks.judge([]string{"b"}); !v.few || !clocks.well() {
		t.Errorf("with one other left: %+v", v)
	}
	clocks.jumped(wall, 2*time.Second)
	if clocks.judge([]string{"b"}); !clocks.trusted() {
		t.Error("where nobody can tell, a jump is waited for for ever")
	}
}
