package sim_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/sim"
)

const wholeDay = 24 * time.Hour

// wholeCalendar is the independent computation: it walks from day to day and
// asks which of them are meant.
func wholeCalendar(from, to time.Time, at time.Duration, is func(time.Time) bool) (all []time.Time) {
	for day := from.Truncate(wholeDay); !day.After(to); day = day.Add(wholeDay) {
		if moment := day.Add(at); is(day) && moment.After(from) && !moment.After(to) {
			all = append(all, moment)
		}
	}
	return all
}

// wholeSchedule is a trigger, and what the calendar says of it.
type wholeSchedule struct {
	cron string
	at   time.Duration
	is   func(time.Time) bool
	id   string
}

func wholeSchedules() []*wholeSchedule {
	return []*wholeSchedule{
		{cron: "0 8 * * 1", at: 8 * time.Hour, is: func(d time.Time) bool { return d.Weekday() == time.Monday }},
		{cron: "0 0 31 * *", is: func(d time.Time) bool { return d.Day() == 31 }},
		{cron: "0 0 30 * *", is: func(d time.Time) bool { return d.Day() == 30 }},
		{cron: "0 0 29 2 *", is: wholeLeapDay},
		{cron: "59 23 28-31 * *", at: 23*time.Hour + 59*time.Minute, is: func(d time.Time) bool { return d.Day() >= 28 }},
	}
}

func wholeLeapDay(d time.Time) bool { return d.Day() == 29 && d.Month() == time.February }

// agrees compares what ran with the calendar.
func (w *whole) agrees(v *check.Verdict, s *wholeSchedule, want []time.Time) {
	w.t.Helper()
	got, fired := w.began(v, s.id), v.Triggers[s.id].Fired
	if len(got) != len(want) || fired != len(want) {
		w.t.Errorf("%q: %d runs, %d fired, the calendar has %d", s.cron, len(got), fired, len(want))
		return
	}
	for n := range want {
		if late := got[n].Sub(want[n]); late < 0 || late > time.Second {
			w.t.Errorf("%q: run %d began at %s, due at %s", s.cron, n, got[n], want[n])
		}
	}
}

// ran says that an item ran, and not before a moment nor much later.
func (w *whole) ran(v *check.Verdict, item string, at time.Time) {
	w.t.Helper()
	i := v.Items[item]
	if i == nil || i.Status != "Completed" || i.Started.Before(at) || i.Started.Sub(at) > 2*time.Second {
		w.t.Errorf("item %s, to run at %s, is %+v", item, at, i)
	}
}

// A year without a pause: Mondays at eight, month ends, the leap day, an item due
// in 300 days. WHOLE_DAYS makes it another length.
func TestAYear(t *testing.T) {
	days := 367 // a leap year and a day
	if sim.Race {
		days = 100
	}
	if text := os.Getenv("WHOLE_DAYS"); text != "" {
		var err error
		if days, err = strconv.Atoi(text); err != nil || days < 100 {
			t.Fatalf("WHOLE_DAYS=%s: give 100 or more", text)
		}
	}
	wholeBubble(t, wholeDay, func(w *whole) {
		from := time.Now()
		w.function()
		schedules := wholeSchedules()
		for _, s := range schedules {
			s.id = w.trigger(s.cron, nil)
		}
		due := from.Add(min(300, time.Duration(days-1)) * wholeDay)
		item := w.item(due)
		w.until(from.Add(time.Duration(days)*wholeDay + time.Hour))
		v := w.judge()
		for _, s := range schedules {
			w.agrees(v, s, wholeCalendar(from, time.Now(), s.at, s.is))
		}
		w.ran(v, item, due)
	})
}

// Leap days of a century and more, on a machine that is on for two days around
// the end of each February: 2100 has none, so that eight years pass.
func TestLeapDays(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		from := time.Now()
		w.function()
		s := wholeSchedule{cron: "0 0 29 2 *", is: wholeLeapDay}
		s.id = w.trigger(s.cron, nil)
		w.until(time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC))
		for year := 2004; year <= 2104; year += 4 {
			w.off(time.Date(year, 2, 28, 0, 0, 0, 0, time.UTC))
			now, err := w.client.GetTrigger(w.t.Context(), s.id)
			w.must(err)
			want := time.Date(year, 2, 29, 0, 0, 0, 0, time.UTC)
			if year == 2100 {
				want = want.AddDate(4, 0, -1)
			}
			if next := now.NextRun.Std(); !next.Equal(want) {
				t.Errorf("in %d the next run is %s, not %s", year, next, want)
			}
			w.until(time.Date(year, 3, 2, 0, 0, 0, 0, time.UTC))
		}
		v := w.judge()
		w.agrees(v, &s, wholeCalendar(from, time.Now(), 0, s.is))
		if v.Openings != 27 {
			t.Errorf("%d processes", v.Openings)
		}
	})
}

// A machine that is off for weeks and for months: each trigger's policy decides
// what becomes of the gap, an item that was due meanwhile runs at once.
func TestLongOutages(t *testing.T) {
	wholeBubble(t, wholeDay, func(w *whole) {
		from := time.Now()
		w.function()
		policies := []*struct {
			wholeSchedule
			catchUp string
			window  time.Duration
		}{
			{wholeSchedule{cron: "0 8 * * *"}, "latest", 366 * wholeDay},
			{wholeSchedule{cron: "0 8 * * *"}, "latest", wholeDay},
			{wholeSchedule{cron: "0 8 * * *"}, "none", 366 * wholeDay},
			{wholeSchedule{cron: "0 8 * * 1"}, "latest", 366 * wholeDay},
			{wholeSchedule{cron: "0 8 * * 1"}, "latest", wholeDay},
			{wholeSchedule{cron: "0 8 * * 1"}, "none", wholeDay},
		}
		for _, p := range policies {
			p.at, p.is = 8*time.Hour, func(d time.Time) bool { return p.cron == "0 8 * * *" || d.Weekday() == time.Monday }
			p.id = w.trigger(p.cron, func(in *api.TriggerInput) {
				in.CatchUp, in.CatchUpWindow = &p.catchUp, wholeText(p.window.String())
			})
		}
		missed, far := w.item(time.Date(2000, 3, 1, 0, 0, 0, 0, time.UTC)), w.item(from.Add(300*wholeDay))
		w.until(time.Date(2000, 2, 10, 12, 0, 0, 0, time.UTC))
		w.off(time.Date(2000, 3, 23, 7, 30, 0, 0, time.UTC)) // a Thursday
		back := time.Now()
		w.until(time.Date(2000, 3, 25, 9, 0, 0, 0, time.UTC))
		w.off(time.Date(2000, 10, 24, 7, 0, 0, 0, time.UTC)) // a Tuesday, 23 hours after Monday's
		w.until(from.Add(300*wholeDay + time.Hour))
		v := w.judge()
		w.ran(v, missed, back)
		w.ran(v, far, from.Add(300*wholeDay))
		for _, p := range policies {
			fired, skipped := len(wholeCalendar(from, time.Now(), p.at, p.is)), map[string]int{}
			for _, o := range w.outages {
				gap := wholeCalendar(o.From, o.To, p.at, p.is)
				switch {
				case o.To.Sub(gap[len(gap)-1]) > p.window:
					fired -= len(gap)
					skipped["expired"] += len(gap)
				case p.catchUp == "none":
					fired -= len(gap)
					skipped["missed"] += len(gap)
				default:
					fired -= len(gap) - 1
					skipped["missed"] += len(gap) - 1
				}
			}
			x := v.Triggers[p.id]
			if x.Fired != fired || x.Skipped["expired"] != skipped["expired"] || x.Skipped["missed"] != skipped["missed"] || len(w.began(v, p.id)) != fired {
				t.Errorf("%q, %s within %s: %d fired, %d ran, skipped %v; the calendar says %d and %v",
					p.cron, p.catchUp, p.window, x.Fired, len(w.began(v, p.id)), x.Skipped, fired, skipped)
			}
		}
	})
}
