package crontab_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/command/cron"
	"github.com/belfryhq/belfry/testing/check/crontab"
)

// comparison counts what was compared.
type comparison struct{ expressions, moments, occurrences, differences int }

// compare looks at one expression from one moment on, until a bounded number
// of occurrences or days has passed.
func (c *comparison) compare(t *testing.T, product, judge string, anchor, from time.Time, days int) {
	t.Helper()
	s, wrong := cron.Parse(product)
	if wrong != nil {
		t.Fatalf("%q: %v", product, wrong)
	}
	until := from.Add(time.Duration(days) * 24 * time.Hour)
	if first := s.Next(anchor, from); !first.IsZero() {
		for n := 0; n < 50 && first.Before(until); n++ { // do not list a million seconds
			first = s.Next(anchor, first)
		}
		if first.Before(until) {
			until = first
		}
	}
	want, err := crontab.Occurrences(judge, anchor, from, until)
	if err != nil {
		t.Fatalf("%q: %v", judge, err)
	}
	c.moments++
	c.occurrences += len(want)
	at := from
	for n, w := range want {
		if at = s.Next(anchor, at); !at.Equal(w) {
			c.differ(t, "%q from %s: occurrence %d is %s, the judge says %s", product, from, n, at, w)
			return
		}
	}
	if next := s.Next(anchor, at); !next.IsZero() && !next.After(until) {
		c.differ(t, "%q from %s: %s is one more than the judge finds", product, from, next)
		return
	}
	first, last, count := s.Missed(anchor, from, until)
	if count != len(want) || count > 0 && (!first.Equal(want[0]) || !last.Equal(want[count-1])) {
		c.differ(t, "%q in (%s, %s]: %d from %s to %s, the judge counts %d", product, from, until, count, first, last, len(want))
	}
}

func (c *comparison) differ(t *testing.T, format string, args ...any) {
	t.Helper()
	if c.differences++; product(t) {
		t.Errorf(format, args...)
	}
}

// product is false in the negative control, where differences are wanted.
func product(t *testing.T) bool { return !strings.Contains(t.Name(), "Control") }

// TestAgainstTheProduct: two evaluators that share no code agree.
func TestAgainstTheProduct(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var c comparison
	for _, fixed := range []string{
		"0 0 29 2 *", "59 59 23 31 12 *", "0 0 31 * *", "0 0 13 * 5", "0 0 */2 * 1", "0 0 1-7 * */7", "* * * * * *",
		"0 12 * * 5", "0 8 * * 1", "*/15 * * * *", "0 0 * * 7", "0 0 * * 5-7", "@yearly", "@monthly", "@weekly", "@daily", "@hourly",
	} {
		c.expressions++
		for _, from := range corners() {
			c.compare(t, fixed, fixed, from, from, 1500)
		}
	}
	for range 1500 {
		expression := random(r)
		if _, wrong := cron.Parse(expression); wrong != nil {
			if !strings.Contains(wrong.Message, "never fires") {
				t.Fatalf("%q was refused: %v", expression, wrong)
			}
			always, err := crontab.Occurrences(expression, time.Time{}, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))
			if err != nil || len(always) > 0 {
				t.Fatalf("%q was refused, and the judge finds %v, %v", expression, always, err)
			}
			continue
		}
		c.expressions++
		for range 2 {
			from := time.Date(2020+r.IntN(90), 1, 1, 0, 0, r.IntN(366*86400), r.IntN(1000)*1e6, time.UTC)
			anchor := from.Add(-time.Duration(r.IntN(1_000_000)) * time.Millisecond)
			c.compare(t, expression, expression, anchor, from, 400)
		}
	}
	t.Logf("%d expressions from %d moments, %d occurrences compared, %d differences", c.expressions, c.moments, c.occurrences, c.differences)
}

// TestControl: a wrong evaluator is found out.
func TestControl(t *testing.T) {
	var c comparison
	for _, pair := range [][2]string{{"0 12 * * 5", "0 12 * * 6"}, {"0 0 13 * 5", "0 0 13 * */5"}, {"*/15 * * * *", "*/14 * * * *"}, {"@every 60s", "@every 61s"}} {
		before := c.differences
		from := corners()[0]
		c.compare(t, pair[0], pair[1], from, from, 400)
		if c.differences == before {
			t.Errorf("%q passed for %q", pair[0], pair[1])
		}
	}
}

// corners are moments at which calendars go wrong.
func corners() []time.Time {
	var list []time.Time
	for _, s := range []string{
		"2026-11-24T12:00:00Z", "2027-12-31T23:59:59Z", "2028-02-28T23:59:59.999Z", "2028-02-29T00:00:00Z",
		"2096-02-29T12:00:00Z", "2099-12-31T23:59:59.500Z", "2100-02-28T23:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			panic(err) // constants
		}
		list = append(list, at)
	}
	return list
}

func random(r *rand.Rand) string {
	if r.IntN(20) == 0 {
		return "@every " + []string{"1s", "90s", "1h30m", "3d", "2w", "1500ms"}[r.IntN(6)]
	}
	months := strings.Fields("jan Feb MAR APR MAY JUN JUL AUG SEP OCT NOV dec")
	days := strings.Fields("sun Mon TUE WED THU FRI sat")
	words := []string{field(r, 0, 59, nil), field(r, 0, 23, nil), field(r, 1, 31, nil), field(r, 1, 12, months), field(r, 0, 7, days)}
	if r.IntN(3) == 0 {
		words = append([]string{field(r, 0, 59, nil)}, words...)
	}
	return strings.Join(words, " ")
}

func field(r *rand.Rand, low, high int, names []string) string {
	if r.IntN(3) == 0 {
		return "*"
	}
	value := func(v int) string {
		if names != nil && v-low < len(names) && r.IntN(2) == 0 {
			return names[v-low]
		}
		return fmt.Sprint(v)
	}
	var items []string
	for range 1 + r.IntN(3) {
		a := low + r.IntN(high-low+1)
		b := a + r.IntN(high-a+1)
		step := 1 + r.IntN(high)
		items = append(items, []string{
			value(a), value(a) + "-" + value(b), fmt.Sprintf("%s-%s/%d", value(a), value(b), step),
			fmt.Sprintf("*/%d", step), fmt.Sprintf("%s/%d", value(a), step),
		}[r.IntN(5)])
	}
	return strings.Join(items, ",")
}
