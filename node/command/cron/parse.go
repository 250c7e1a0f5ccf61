package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	cronlib "github.com/netresearch/go-cron"

	"github.com/belfryhq/belfry/eventlog"
)

// Error says what is wrong with an expression.
type Error struct {
	// Field is second, minute, hour, day-of-month, month or day-of-week; ""
	// when it is the whole.
	Field string
	// Position is the byte in the expression, from 0, at which it is wrong.
	Position int
	// Message says what is wrong and what to write.
	Message string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s (position %d)", e.Message, e.Position)
	}
	return fmt.Sprintf("%s: %s (position %d)", e.Field, e.Message, e.Position)
}

const (
	// lengthMax bounds an expression: a list of all 60 minutes has 169 bytes.
	lengthMax = 500
	// everyMin and everyMax bound @every.
	everyMin = time.Second
	everyMax = 3660 * 24 * time.Hour
	// searchYears is beyond the longest gap of any expression that fires: 29
	// February on a given weekday, 40 years around 2100.
	searchYears = 100
)

// field is what a place of an expression may hold.
type field struct {
	name      string
	low, high int
	names     []string // of low, low+1, …; nil: numbers only
}

func fields() []field {
	return []field{
		{"second", 0, 59, nil},
		{"minute", 0, 59, nil},
		{"hour", 0, 23, nil},
		{"day-of-month", 1, 31, nil},
		{"month", 1, 12, strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
		{"day-of-week", 0, 7, strings.Fields("SUN MON TUE WED THU FRI SAT")},
	}
}

// Places of the fields.
const (
	second = iota
	minute
	hour
	dayOfMonth
	month
	dayOfWeek
	places
)

func macro(name string) string {
	switch name {
	case "@yearly", "@annually":
		return "0 0 1 1 *"
	case "@monthly":
		return "0 0 1 * *"
	case "@weekly":
		return "0 0 * * 0"
	case "@daily", "@midnight":
		return "0 0 * * *"
	case "@hourly":
		return "0 * * * *"
	}
	return ""
}

// Parse reads an expression. Spaces around it do not count.
func Parse(expression string) (*Schedule, *Error) {
	if len(expression) > lengthMax {
		return nil, &Error{Position: lengthMax, Message: fmt.Sprintf("the expression has %d characters, more than %d: shorten it", len(expression), lengthMax)}
	}
	for n := range len(expression) {
		if c := expression[n]; (c < ' ' || c > '~') && c != '\t' {
			return nil, &Error{Position: n, Message: "there is a character that no expression has: use digits, names and * , - /"}
		}
	}
	text := strings.Trim(expression, " \t")
	start := strings.Index(expression, text)
	if strings.HasPrefix(text, "@") {
		return parseMacro(text, start)
	}
	s, err := parseFields(expression)
	if err != nil {
		return nil, err
	}
	s.text = text
	return s, nil
}

func parseMacro(text string, start int) (*Schedule, *Error) {
	if rest, every := strings.CutPrefix(text, "@every"); every && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		written := strings.Trim(rest, " \t")
		at := start + len(text) - len(strings.TrimLeft(rest, " \t"))
		d, err := eventlog.ParseDuration(written)
		if err != nil || time.Duration(d)%time.Millisecond != 0 {
			return nil, &Error{Position: at, Message: strconv.Quote(written) + " is not a duration: write it like @every 90s, @every 1h30m or @every 3d"}
		}
		if time.Duration(d) < everyMin || time.Duration(d) > everyMax {
			return nil, &Error{Position: at, Message: fmt.Sprintf("%s is out of range: use 1s to %d days", written, everyMax/(24*time.Hour))}
		}
		return &Schedule{text: "@every " + written, every: time.Duration(d)}, nil
	}
	fields := macro(strings.ToLower(text))
	if fields == "" {
		return nil, &Error{Position: start, Message: strconv.Quote(text) + " is not known: use @yearly, @monthly, @weekly, @daily, @hourly or @every <duration>"}
	}
	s, err := parseFields(fields)
	if err != nil {
		return nil, err
	}
	s.text = text
	return s, nil
}

// word is a field as it stands in the expression.
type word struct {
	text string
	at   int
}

func words(expression string) (list []word) {
	for n := 0; n < len(expression); {
		if expression[n] == ' ' || expression[n] == '\t' {
			n++
			continue
		}
		end := n
		for end < len(expression) && expression[end] != ' ' && expression[end] != '\t' {
			end++
		}
		list = append(list, word{expression[n:end], n})
		n = end
	}
	return list
}

func parseFields(expression string) (*Schedule, *Error) {
	list := words(expression)
	switch len(list) {
	case places - 1:
		list = append([]word{{"0", 0}}, list...)
	case places:
	default:
		return nil, &Error{Position: len(expression), Message: fmt.Sprintf(
			"there are %d fields: write five, minute hour day-of-month month day-of-week, or six with leading seconds", len(list))}
	}
	var sets [places]uint64
	for n, f := range fields() {
		var err *Error
		if sets[n], err = f.parse(list[n]); err != nil {
			return nil, err
		}
	}
	sets[dayOfWeek] = sets[dayOfWeek]&^(1<<7) | sets[dayOfWeek]>>7&1 // 7 is Sunday
	either := list[dayOfMonth].text[0] != '*' && list[dayOfWeek].text[0] != '*'
	if !either && !possible(sets[dayOfMonth], sets[month]) {
		return nil, &Error{Field: "day-of-month", Position: list[dayOfMonth].at, Message: "no month that is named has such a day, so this never fires: choose another day or month"}
	}
	return &Schedule{
		spec: &cronlib.SpecSchedule{
			Second: sets[second], Minute: sets[minute], Hour: sets[hour],
			Dom: sets[dayOfMonth], Month: sets[month], Dow: sets[dayOfWeek],
			Location: time.UTC, MaxSearchYears: searchYears, DowOrDom: either,
		},
		perHour: bits.OnesCount64(sets[minute]) * bits.OnesCount64(sets[second]),
	}, nil
}

// possible says whether any of the months has any of the days.
func possible(days, months uint64) bool {
	for m := time.January; m <= time.December; m++ {
		const leapYear = 2024
		last := time.Date(leapYear, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if months>>m&1 == 1 && days&(1<<(last+1)-1) != 0 {
			return true
		}
	}
	return false
}

// parse reads a list of items: *, a value, a range, each with a step or not.
func (f field) parse(w word) (set uint64, err *Error) {
	at := w.at
	for item := range strings.SplitSeq(w.text, ",") {
		low, high, step, err := f.item(word{item, at})
		if err != nil {
			return 0, err
		}
		for v := low; v <= high; v += step {
			set |= 1 << v
		}
		at += len(item) + 1
	}
	return set, nil
}

func (f field) item(w word) (low, high, step int, err *Error) {
	if w.text == "" {
		return 0, 0, 0, f.wrong(w.at, "an item of the list is empty: take the comma out, or write a value")
	}
	values, steps, stepped := strings.Cut(w.text, "/")
	step = 1
	if stepped {
		at := w.at + len(values) + 1
		n, bad := strconv.Atoi(steps)
		if bad != nil || !digits(steps) || n < 1 {
			return 0, 0, 0, f.wrong(at, fmt.Sprintf("%q is not a step: write a number from 1", steps))
		}
		step = min(n, f.high+1)
	}
	if values == "*" {
		high = f.high
		if f.name == "day-of-week" {
			high = 6 // 7 is Sunday once more
		}
		return f.low, high, step, nil
	}
	first, last, ranged := strings.Cut(values, "-")
	if low, err = f.value(word{first, w.at}); err != nil {
		return 0, 0, 0, err
	}
	switch {
	case ranged:
		if high, err = f.value(word{last, w.at + len(first) + 1}); err != nil {
			return 0, 0, 0, err
		}
		if high < low {
			return 0, 0, 0, f.wrong(w.at, fmt.Sprintf("the range %s ends before it begins: write two ranges, such as %s-%d,%d-%s", values, first, f.high, f.low, last))
		}
	case stepped:
		high = f.high
		if f.name == "day-of-week" {
			high = max(low, 6)
		}
	default:
		high = low
	}
	return low, high, step, nil
}

func (f field) value(w word) (int, *Error) {
	for n, name := range f.names {
		if strings.EqualFold(name, w.text) {
			return f.low + n, nil
		}
	}
	n, bad := strconv.Atoi(w.text)
	if bad != nil && digits(w.text) || bad == nil && digits(w.text) && (n < f.low || n > f.high) {
		return 0, f.wrong(w.at, fmt.Sprintf("%s is out of range: use %d to %d", w.text, f.low, f.high))
	}
	if bad != nil || !digits(w.text) {
		usage := "a number"
		if f.names != nil {
			usage = "a number or a name such as " + f.names[0]
		}
		return 0, f.wrong(w.at, fmt.Sprintf("%q is not a value: write *, or %s from %d to %d", w.text, usage, f.low, f.high))
	}
	return n, nil
}

func (f field) wrong(at int, message string) *Error {
	return &Error{Field: f.name, Position: at, Message: message}
}

func digits(s string) bool {
	for n := range len(s) {
		if s[n] < '0' || s[n] > '9' {
			return false
		}
	}
	return s != ""
}
