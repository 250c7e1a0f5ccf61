package check

import (
	"testing"
	"time"
)

// Starts go to windows by earliest deadline; what need not have started takes
// no start from what must, and gives a home to what is over.
func TestWindows(t *testing.T) {
	must := func(from, to float64) window {
		return window{from: clock(from), to: clock(to), required: true, run: &Run{}}
	}
	may := func(from, to float64) window { return window{from: clock(from), to: clock(to), run: &Run{}} }
	for name, c := range map[string]struct {
		wins   []window
		starts []float64
		faults int
	}{
		"each its own":                      {[]window{must(1, 2), must(2, 3)}, []float64{1.5, 2.5}, 0},
		"the earlier deadline first":        {[]window{must(1, 9), must(1, 2)}, []float64{1.5, 8}, 0},
		"one too few":                       {[]window{must(1, 3), must(1, 2)}, []float64{1.5}, 1},
		"one too many":                      {[]window{must(1, 2)}, []float64{1.2, 1.5}, 1},
		"too early and so too few":          {[]window{must(1, 2)}, []float64{0.5}, 2},
		"too late and so too few":           {[]window{must(1, 2)}, []float64{2.5}, 2},
		"what may does not take from must":  {[]window{may(1, 2), must(1, 3)}, []float64{1.5}, 0},
		"what must leaves the last to may":  {[]window{may(1, 2), must(1, 3)}, []float64{1.5, 2.5}, 0},
		"what may need not":                 {[]window{may(1, 2)}, nil, 0},
		"and is still a window that closes": {[]window{may(1, 2)}, []float64{2.5}, 1},
	} {
		v := New()
		var starts []time.Time
		for _, s := range c.starts {
			starts = append(starts, clock(s))
		}
		v.assign(&Trigger{ID: "sts_1"}, c.wins, starts)
		if len(v.Violations) != c.faults {
			t.Errorf("%s: %v", name, v.Violations)
		}
	}
}
