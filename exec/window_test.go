package exec

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

func TestDivide(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	for name, c := range map[string]struct {
		capacity, orphans, soon int
		loads                   []load
		want                    map[string]int
		short                   bool
	}{
		"nobody": {4, 0, 0, nil, map[string]int{}, false},
		"a lone owner has all, whatever it demands": {
			4, 0, 0, []load{{owner: "a"}}, map[string]int{"a": 4}, false,
		},
		"what it holds is part of its window": {
			4, 0, 0, []load{{owner: "a", active: 4, waiting: 9}}, map[string]int{"a": 4}, false,
		},
		"nobody waits: evenly": {
			5, 0, 0, []load{{owner: "b"}, {owner: "a"}, {owner: "c"}}, map[string]int{"a": 2, "b": 2, "c": 1}, false,
		},
		"one waits: it has what it needs, the rest is spread": {
			4, 0, 0, []load{{owner: "a", waiting: 1}, {owner: "b"}}, map[string]int{"a": 2, "b": 2}, false,
		},
		"one waits for much: all": {
			4, 0, 0, []load{{owner: "a", waiting: 9}, {owner: "b"}}, map[string]int{"a": 4, "b": 0}, false,
		},
		"both wait: evenly": {
			4, 0, 0, []load{{owner: "a", waiting: 9}, {owner: "b", waiting: 9}}, map[string]int{"a": 2, "b": 2}, false,
		},
		"one needs less than its half": {
			8, 0, 0, []load{{owner: "a", waiting: 9}, {owner: "b", waiting: 1}}, map[string]int{"a": 7, "b": 1}, false,
		},
		"priority has what is left after one for everyone": {
			4, 0, 0, []load{{owner: "a", waiting: 9}, {owner: "b", waiting: 9, priority: 5}}, map[string]int{"a": 1, "b": 3}, false,
		},
		"the odd one goes to the oldest": {
			3, 0, 0, []load{{owner: "a", waiting: 9, oldest: late}, {owner: "b", waiting: 9, oldest: early}},
			map[string]int{"a": 1, "b": 2}, false,
		},
		"fewer places than owners: the oldest first, whatever its priority": {
			2, 0, 0, []load{
				{owner: "a", waiting: 9, oldest: late}, {owner: "b", waiting: 9, oldest: early}, {owner: "c", waiting: 9, oldest: early},
				{owner: "d", waiting: 9, oldest: late, priority: 9},
			},
			map[string]int{"a": 0, "b": 1, "c": 1, "d": 0}, false,
		},
		"who holds more than its share claims no more, and nothing is granted twice": {
			4, 0, 0, []load{{owner: "a", active: 4, waiting: 9}, {owner: "b", waiting: 9}}, map[string]int{"a": 2, "b": 0}, true,
		},
		"a place that became free is granted": {
			4, 0, 0, []load{{owner: "a", active: 3, waiting: 9}, {owner: "b", waiting: 9}}, map[string]int{"a": 2, "b": 1}, true,
		},
		"what ends soon is granted at once": {
			4, 0, 9, []load{{owner: "a", active: 4, waiting: 9}, {owner: "b", waiting: 9}}, map[string]int{"a": 2, "b": 2}, false,
		},
		"who does not wait is cut first": {
			4, 0, 0, []load{{owner: "a", active: 3}, {owner: "b", waiting: 1}, {owner: "c"}}, map[string]int{"a": 1, "b": 1, "c": 0}, true,
		},
		"orphans occupy places": {
			4, 3, 0, []load{{owner: "a", waiting: 9}}, map[string]int{"a": 1}, true,
		},
		"no capacity": {
			0, 0, 0, []load{{owner: "a", active: 2, waiting: 9}, {owner: "b"}}, map[string]int{"a": 0, "b": 0}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, short := divide(c.capacity, c.orphans, c.soon, c.loads)
			if !maps.Equal(got, c.want) || short != c.short {
				t.Errorf("got %v %t, not %v %t", got, short, c.want, c.short)
			}
		})
	}
}

// TestDivideKeepsItsWord checks what must hold for all loads.
func TestDivideKeepsItsWord(t *testing.T) {
	seed := uint64(20260301)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 20_000 {
		capacity, orphans, soon := rnd.IntN(40), rnd.IntN(3)*rnd.IntN(5), rnd.IntN(2)*rnd.IntN(50)
		loads := make([]load, rnd.IntN(6))
		waiting := 0
		for i := range loads {
			loads[i] = load{
				owner: string(rune('a' + i)), active: rnd.IntN(12), waiting: rnd.IntN(3) * rnd.IntN(20),
				priority: rnd.IntN(3), oldest: time.Unix(int64(rnd.IntN(9)), 0),
			}
			if loads[i].waiting > 0 {
				waiting++
			}
		}
		windows, short := divide(capacity, orphans, soon, loads)
		again, _ := divide(capacity, orphans, soon, loads)
		sum, beyond, granted := 0, orphans, 0
		for _, l := range loads {
			w := windows[l.owner]
			sum += w
			beyond += max(0, l.active-w)
			granted += max(0, w-l.active)
			if w < 0 {
				t.Fatalf("seed %d: a window of %d: %+v", seed, w, loads)
			}
			if l.waiting > 0 && waiting <= capacity && !short && w < 1 {
				t.Fatalf("seed %d: %s waits and has no place of %d: %+v", seed, l.owner, capacity, loads)
			}
		}
		if sum > capacity || !maps.Equal(windows, again) {
			t.Fatalf("seed %d: %v of %d: %+v", seed, windows, capacity, loads)
		}
		if granted > 0 && sum+beyond > capacity+soon {
			t.Fatalf("seed %d: %d granted and %d held beyond, of %d and %d soon: %+v", seed, sum, beyond, capacity, soon, loads)
		}
	}
}

// TestNobodyStarves plays the division for long runs: each step one run ends,
// and owners fill their windows. Everyone that waits gets on.
func TestNobodyStarves(t *testing.T) {
	for _, capacity := range []int{1, 2, 3, 8} {
		loads := []load{{owner: "a", waiting: 1 << 20, priority: 9}, {owner: "b", waiting: 1 << 20}, {owner: "c", waiting: 1 << 20}}
		served := map[string]int{}
		var running []int
		for step := range 300 {
			windows, _ := divide(capacity, 0, 0, loads)
			for i := range loads {
				for l := &loads[i]; l.active < windows[l.owner]; l.active++ {
					running = append(running, i)
					served[l.owner]++
					l.oldest = time.Unix(int64(step), 0)
				}
			}
			if len(running) > capacity {
				t.Fatalf("%d held of %d", len(running), capacity)
			}
			loads[running[0]].active--
			running = running[1:]
		}
		if capacity >= len(loads) {
			for _, l := range loads {
				if served[l.owner] < 300/(2*capacity) {
					t.Errorf("of %d places, in 300 steps, served %v", capacity, served)
				}
			}
		}
		if served["b"] == 0 || served["c"] == 0 {
			t.Errorf("of %d places, in 300 steps, served %v", capacity, served)
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, c := range []struct {
		old, new int
		want     bool
	}{
		{4, 4, false}, {4, 5, true}, {4, 3, true}, {0, 1, true}, {1, 0, true}, {8, 9, false}, {8, 10, true}, {100, 110, false}, {100, 130, true},
	} {
		if got := differs(map[string]int{"a": c.old}, map[string]int{"a": c.new}); got != c.want {
			t.Errorf("from %d to %d: %t", c.old, c.new, got)
		}
	}
	if !differs(map[string]int{}, map[string]int{"a": 0}) || differs(map[string]int{"a": 1}, map[string]int{}) {
		t.Error("a new owner should hear of its window at once, and nobody of one that has gone")
	}
}

func TestCapacity(t *testing.T) {
	for name, c := range map[string]struct {
		run, loop, stuck time.Duration
		want             int
	}{
		"nothing measured":       {0, 0, 0, 4},
		"long runs":              {time.Second, 0, 0, 4},
		"100 ms":                 {100 * time.Millisecond, 0, 0, 4},
		"10 ms":                  {10 * time.Millisecond, 0, 0, 4 + 2},
		"1 ms":                   {time.Millisecond, 0, 0, 4 + 24},
		"0.2 ms":                 {200 * time.Microsecond, 0, 0, 4 + 120},
		"a slower loop":          {time.Millisecond, 10 * time.Millisecond, 0, 4 + 80},
		"never more than a few":  {time.Microsecond, time.Second, 0, wire.WindowMax},
		"fast runs before, none": {200 * time.Microsecond, 0, time.Second, 4},
	} {
		p := pace{run: c.run, loop: c.loop}
		if got := p.capacity(4, c.stuck); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
}

func TestPaceOfTwoClocks(t *testing.T) {
	var p pace
	p.ran(-time.Second)
	p.looped(-time.Second)
	if n := p.capacity(4, 0); n < 4 || p.soon(4, 0) < 0 {
		t.Errorf("of 4 slots the capacity is %d", n)
	}
}

func TestPaceFollows(t *testing.T) {
	var p pace
	p.ran(time.Hour)
	if p.run != longRun {
		t.Errorf("an hour counts as %s", p.run)
	}
	for range 60 {
		p.ran(time.Millisecond)
		p.looped(time.Hour)
	}
	if p.run > 2*time.Millisecond || p.loop != loopMax {
		t.Errorf("the means are %s and %s", p.run, p.loop)
	}
}
