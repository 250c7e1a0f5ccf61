package eventlog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// TestDoubt: one replica is believed at once, several only when the damage
// lasts, and a look that finds the stream whole ends the doubt.
func TestDoubt(t *testing.T) {
	start := time.Unix(1_750_000_000, 0)
	other := errors.New("the connection is closed")
	for name, c := range map[string]struct {
		replicas int
		looks    map[int]error // by the second
		want     error
	}{
		"one replica":                 {1, map[int]error{0: eventlog.ErrDamaged}, eventlog.ErrDamaged},
		"three at the first look":     {3, map[int]error{0: eventlog.ErrDamaged}, eventlog.ErrDoubtful},
		"three for 29 seconds":        {3, map[int]error{0: eventlog.ErrDamaged, 29: eventlog.ErrDamaged}, eventlog.ErrDoubtful},
		"three for 30 seconds":        {3, map[int]error{0: eventlog.ErrDamaged, 30: eventlog.ErrDamaged}, eventlog.ErrDamaged},
		"three, whole in between":     {3, map[int]error{0: eventlog.ErrDamaged, 15: nil, 30: eventlog.ErrDamaged}, eventlog.ErrDoubtful},
		"three, silence in between":   {3, map[int]error{0: eventlog.ErrDamaged, 15: other, 30: eventlog.ErrDamaged}, eventlog.ErrDamaged},
		"three, whole again":          {3, map[int]error{0: eventlog.ErrDamaged, 60: nil}, nil},
		"three, something else at 30": {3, map[int]error{0: eventlog.ErrDamaged, 30: other}, other},
	} {
		var d eventlog.Doubt
		var got error
		for second := range 61 {
			if found, looked := c.looks[second]; looked {
				got = d.Judge(found, c.replicas, start.Add(time.Duration(second)*time.Second))
			}
		}
		if !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if errors.Is(c.want, eventlog.ErrDoubtful) && errors.Is(got, eventlog.ErrDamaged) {
			t.Errorf("%s: %v counts as damage", name, got)
		}
	}
}
