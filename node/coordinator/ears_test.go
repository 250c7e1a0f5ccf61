package coordinator

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// Who listens and when it may say that somebody is gone. Times are since the
// process began; n2 was heard at the beginning only.
func TestSilenceCountsOnlyWhileWeListened(t *testing.T) {
	type echo struct{ sent, heard time.Duration }
	var steady []echo
	for at := time.Duration(0); at <= 1500*ms; at += 250 * ms {
		steady = append(steady, echo{at, at})
	}
	var always []echo
	for at := time.Duration(0); at <= 2000*ms; at += 250 * ms {
		always = append(always, echo{at, at + 1000*ms})
	}
	for name, c := range map[string]struct {
		echoes []echo
		at     time.Duration
		surely bool
	}{
		"it heard itself all the time":               {steady, 1500 * ms, true},
		"it has just begun":                          {steady[:4], 750 * ms, false},
		"it never heard itself":                      {nil, time.Hour, false},
		"it stood still and has just woken":          {steady, 20 * time.Second, false},
		"it woke, and hears what was said before":    {append(steady[:7:7], echo{1600 * ms, 20 * time.Second}), 20 * time.Second, false},
		"it woke, and hears itself again":            {append(steady[:7:7], echo{20 * time.Second, 20 * time.Second}), 20*time.Second + 250*ms, false},
		"its voice comes late: the way is blocked":   {append(steady[:7:7], echo{1750 * ms, 2600 * ms}), 2600 * ms, false},
		"its voice always comes late":                {always, 3000 * ms, false},
		"two of its beats were lost":                 {append(steady[:7:7], echo{2250 * ms, 2250 * ms}), 2250 * ms, true},
		"three were lost: it might have been asleep": {append(steady[:7:7], echo{2500 * ms, 2500 * ms}), 2500 * ms, false},
	} {
		t.Run(name, func(t *testing.T) {
			born := time.Now()
			e := ears{silence: 1500 * ms, gapMax: 750 * ms, nodes: map[string]sign{}}
			e.heard(beat{Node: "n2", Ready: true}, born)
			for _, x := range c.echoes {
				e.echo(beat{Node: "n1", Ready: true}, born.Add(x.sent), born.Add(x.heard))
			}
			if got := e.surely(born.Add(c.at)); got != c.surely {
				t.Errorf("surely: %t", got)
			}
			if e.alive("n2", born.Add(1500*ms)) || !e.alive("n2", born.Add(1499*ms)) {
				t.Error("n2 is alive for a silence after it was heard, and no longer")
			}
		})
	}
}
