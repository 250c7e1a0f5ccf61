package sim_test

import (
	"testing"
	"time"
)

const wholeDay = 24 * time.Hour

// calendar is the independent computation: it walks from day to day and asks
// which of them the caller means, at this time of day.
func calendar(from, to time.Time, at time.Duration, is func(time.Time) bool) (all []time.Time) {
	for day := from.Truncate(wholeDay); !day.After(to); day = day.Add(wholeDay) {
		if moment := day.Add(at); is(day) && moment.After(from) && !moment.After(to) {
			all = append(all, moment)
		}
	}
	return all
}

// A year: Mondays at eight, month ends, the leap day, an item due in 300 days.
func TestAYear(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		from := time.Now()
		w.function()
		days := map[string]func(time.Time) bool{
			"0 8 * * 1":  func(d time.Time) bool { return d.Weekday() == time.Monday },
			"0 0 31 * *": func(d time.Time) bool { return d.Day() == 31 },
			"0 0 30 * *": func(d time.Time) bool { return d.Day() == 30 },
			"0 0 29 2 *": func(d time.Time) bool { return d.Day() == 29 && d.Month() == time.February },
		}
		ids := map[string]string{}
		for cron := range days {
			ids[cron] = w.trigger(cron, nil)
		}
		due := from.Add(300 * wholeDay)
		item := w.item(due)
		w.until(from.Add(366*wholeDay + time.Hour))
		v := w.judge()
		for cron, is := range days {
			at := time.Duration(0)
			if cron == "0 8 * * 1" {
				at = 8 * time.Hour
			}
			want, got := calendar(from, time.Now(), at, is), w.began(v, ids[cron])
			if len(got) != len(want) || v.Triggers[ids[cron]].Fired != len(want) {
				t.Errorf("%q: %d runs, %d fired, the calendar has %d", cron, len(got), v.Triggers[ids[cron]].Fired, len(want))
				continue
			}
			for n := range want {
				if late := got[n].Sub(want[n]); late < 0 || late > time.Second {
					t.Errorf("%q: run %d began at %s, due at %s", cron, n, got[n], want[n])
				}
			}
		}
		if i := v.Items[item]; i == nil || i.Status != "Completed" || i.Started.Sub(due) > time.Second || i.Started.Before(due) {
			t.Errorf("the item of day 300 is %+v", i)
		}
	})
}
