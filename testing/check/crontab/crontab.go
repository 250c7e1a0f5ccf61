package crontab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Occurrences lists the occurrences after one moment and up to another, that
// one included. The anchor is where @every counts from.
func Occurrences(expression string, anchor, after, until time.Time) ([]time.Time, error) {
	expression = strings.TrimSpace(expression)
	if every, ok := strings.CutPrefix(expression, "@every "); ok {
		return everies(strings.TrimSpace(every), anchor, after, until)
	}
	switch strings.ToLower(expression) {
	case "@yearly", "@annually":
		expression = "0 0 1 1 *"
	case "@monthly":
		expression = "0 0 1 * *"
	case "@weekly":
		expression = "0 0 * * 0"
	case "@daily", "@midnight":
		expression = "0 0 * * *"
	case "@hourly":
		expression = "0 * * * *"
	}
	words := strings.Fields(expression)
	if len(words) == 5 {
		words = append([]string{"0"}, words...)
	}
	if len(words) != 6 {
		return nil, fmt.Errorf("%q has %d fields", expression, len(words))
	}
	var sets [6][]int
	for n, bounds := range [6][2]int{{0, 59}, {0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}} {
		var err error
		if sets[n], err = set(strings.ToUpper(words[n]), bounds[0], bounds[1]); err != nil {
			return nil, err
		}
	}
	var found []time.Time
	after, until = after.UTC(), until.UTC()
	for day := after.Truncate(24 * time.Hour); !day.After(until); day = day.AddDate(0, 0, 1) {
		if !on(day, words, sets) {
			continue
		}
		for _, hour := range sets[2] {
			for _, minute := range sets[1] {
				for _, second := range sets[0] {
					at := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, 0, time.UTC)
					if at.After(after) && !at.After(until) {
						found = append(found, at)
					}
				}
			}
		}
	}
	return found, nil
}

// on says whether a day is one of the expression's.
func on(day time.Time, words []string, sets [6][]int) bool {
	if !slices.Contains(sets[4], int(day.Month())) {
		return false
	}
	weekday := int(day.Weekday())
	byDate := slices.Contains(sets[3], day.Day())
	byWeekday := slices.Contains(sets[5], weekday) || weekday == 0 && slices.Contains(sets[5], 7)
	if words[3][0] != '*' && words[5][0] != '*' {
		return byDate || byWeekday
	}
	return byDate && byWeekday
}

// set reads one field into its values, ascending.
func set(word string, low, high int) ([]int, error) {
	var values []int
	for _, item := range strings.Split(word, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(stepText); err != nil {
				return nil, err
			}
		}
		from, to := low, high
		if high == 7 {
			to = 6
		}
		if span != "*" {
			first, last, isRange := strings.Cut(span, "-")
			var err error
			if from, err = number(first, high); err != nil {
				return nil, err
			}
			switch {
			case isRange:
				if to, err = number(last, high); err != nil {
					return nil, err
				}
			case !stepped:
				to = from
			case from > to:
				to = from
			}
		}
		for v := from; v <= to; v += step {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// number reads a value: of months and weekdays a name, too.
func number(word string, high int) (int, error) {
	names, first := "", 0
	switch high {
	case 12:
		names, first = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", 1
	case 7:
		names = "SUN MON TUE WED THU FRI SAT"
	}
	if place := slices.Index(strings.Fields(names), word); place >= 0 {
		return place + first, nil
	}
	return strconv.Atoi(word)
}

func everies(text string, anchor, after, until time.Time) ([]time.Time, error) {
	unit := map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	var every time.Duration
	if length, ok := unit[text[len(text)-1:]]; ok {
		n, err := strconv.Atoi(text[:len(text)-1])
		if err != nil {
			return nil, err
		}
		every = time.Duration(n) * length
	} else {
		var err error
		if every, err = time.ParseDuration(text); err != nil {
			return nil, err
		}
	}
	var found []time.Time
	for at := anchor.Add(every); !at.After(until); at = at.Add(every) {
		if at.After(after) {
			found = append(found, at.UTC())
		}
	}
	return found, nil
}
