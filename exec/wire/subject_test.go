package wire

import (
	"testing"
)

// Whatever the prefix, the sender is read from the same word.
func TestSendersAreReadUnderEachPrefix(t *testing.T) {
	for _, p := range []Prefix{"", DefaultPrefix, "night-shift", "announce", "result"} {
		for _, subject := range []string{p.AnnounceSubject("e1"), p.ReportSubject("e1", 7), p.ScheduleSubject("e1", 63)} {
			if got := Sender(subject); got != "e1" {
				t.Errorf("the sender on %s is %q", subject, got)
			}
		}
		for _, subject := range []string{p.RunSubject("default", "e1"), p.ExecSubject("e1", VerbAsk), p.LogsSubject("e1", "run_1", 1)} {
			if got := Sender(subject); got != "" {
				t.Errorf("%s has the sender %q", subject, got)
			}
		}
	}
	if got := Prefix("").RunSubject("default", "e1"); got != "belfry.run.default.e1" {
		t.Errorf("the default is %s", got)
	}
}

// A subject of a run costs the one allocation of its text.
func TestSubjectsCostOneAllocation(t *testing.T) {
	for _, p := range []Prefix{"", DefaultPrefix, "night-shift"} {
		for what, subject := range map[string]func() string{
			"run":    func() string { return p.RunSubject("default", "executor") },
			"exec":   func() string { return p.ExecSubject("executor", VerbStored) },
			"report": func() string { return p.ReportSubject("executor", 7) },
		} {
			if n := testing.AllocsPerRun(100, func() { _ = subject() }); n > 1 {
				t.Errorf("%q: the subject of a %s costs %v allocations", p, what, n)
			}
		}
	}
}
