package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/testing/check"
)

// event writes an event of item sci_1 as it stands in the stream.
func event(kind string, revision, prev int, at, data string) string {
	return fmt.Sprintf(`{"id":"c.%d.%d.%s","source":"/belfry/local","type":"belfry.item.%s","subject":"sci_1","time":"2026-01-01T00:00:%sZ","entity":"item","revision":%d,"prev":%d,"partition":%d,"data":%s}`,
		revision, prev, at, kind, at, revision, prev, check.Partition("sci_1"), data)
}

func log(events ...string) []check.Commit {
	var commits []check.Commit
	for n, e := range events {
		commits = append(commits, check.Commit{Seq: uint64(n + 1), Subject: "belfry.events.local", Body: []byte("[" + e + "]")})
	}
	return commits
}

const (
	due  = `{"run_date_time":"2026-01-01T00:00:10Z"}`
	one  = `{"run":"run_1","attempt":1,"executor":"local"}`
	two  = `{"run":"run_1","attempt":2,"executor":"local"}`
	none = `{}`
)

// said is what the judge objected to.
func said(v *check.Verdict) string {
	var all []string
	for _, x := range v.Violations {
		all = append(all, x.String())
	}
	return strings.Join(all, "; ")
}

// The judge objects to each planted fault, and to nothing in a sound log.
func TestTheJudge(t *testing.T) {
	created, claimed := event("created", 1, 0, "01", due), event("claimed", 2, 1, "10", one)
	completed := event("completed", 3, 2, "11", one)
	swap := func(s, old, replacement string) string { return strings.Replace(s, old, replacement, 1) }
	for name, c := range map[string]struct {
		log     []check.Commit
		objects string
	}{
		"a sound log":            {log(created, claimed, completed), ""},
		"a sound retry":          {log(created, claimed, event("interrupted", 3, 2, "11", one), event("claimed", 4, 3, "12", two), event("failed", 5, 4, "13", two)), ""},
		"two events, a commit":   {log(created + "," + event("canceled", 2, 0, "02", none)), ""},
		"a gap":                  {[]check.Commit{log(created)[0], {Seq: 3, Subject: "belfry.events.local", Body: []byte("[" + swap(claimed, `"prev":1`, `"prev":1`) + "]")}}, "L3"},
		"a wrong prev":           {log(created, swap(claimed, `"prev":1`, `"prev":0`)), "L6"},
		"a wrong revision":       {log(created, swap(claimed, `"revision":2`, `"revision":3`)), "L6"},
		"a wrong partition":      {log(swap(created, `"partition":48`, `"partition":47`)), "L7"},
		"a foreign lane":         {log(created, swap(claimed, "/belfry/local", "/belfry/other")), "L7"},
		"two open claims":        {log(created, claimed, event("claimed", 3, 2, "11", two)), "C1"},
		"an early claim":         {log(created, event("claimed", 2, 1, "09", one)), "C3"},
		"a claim after a cancel": {log(created, event("canceled", 2, 1, "02", none), event("claimed", 3, 2, "10", one)), "R4"},
		"an end without a claim": {log(created, event("completed", 2, 1, "11", one)), "R1"},
		"a stale attempt's end":  {log(created, claimed, event("interrupted", 3, 2, "11", one), event("claimed", 4, 3, "12", two), event("completed", 5, 4, "13", one)), "R2"},
		"a foreign executor's":   {log(created, claimed, swap(completed, `"executor":"local"`, `"executor":"other"`)), "R2"},
		"an attempt left out":    {log(created, event("claimed", 2, 1, "10", two)), "R3"},
		"two ends":               {log(created, claimed, completed, event("failed", 4, 3, "12", one)), "R4"},
		"a second creation":      {log(created, event("created", 2, 1, "02", due)), "again"},
		"nobody's event":         {log(event("claimed", 1, 0, "10", one)), "never created"},
		"an event twice":         {log(created, claimed, claimed), "stands twice"},
		"no JSON":                {[]check.Commit{{Seq: 1, Body: []byte("{")}}, "not a JSON array"},
	} {
		t.Run(name, func(t *testing.T) {
			v := check.Log(c.log)
			said := said(v)
			if c.objects == "" && said != "" || !strings.Contains(said, c.objects) {
				t.Errorf("the judge said %q, nothing of %q", said, c.objects)
			}
		})
	}
}

// The journal and the claims must agree, and nothing may stay open.
func TestTheJudgeOfJournals(t *testing.T) {
	sound := log(event("created", 1, 0, "01", due), event("claimed", 2, 1, "10", one), event("completed", 3, 2, "11", one))
	for name, c := range map[string]struct {
		log     []check.Commit
		wrote   map[string]int
		objects string
	}{
		"it ran once":                {sound, map[string]int{"sci_1": 1}, ""},
		"it ran twice, claimed once": {sound, map[string]int{"sci_1": 2}, "R6"},
		"it completed and never ran": {sound, nil, "R6"},
		"nobody's run":               {sound, map[string]int{"sci_1": 1, "sci_2": 1}, "R6"},
		"it never ended":             {sound[:2], map[string]int{"sci_1": 1}, "R8"},
	} {
		t.Run(name, func(t *testing.T) {
			v := check.Log(c.log)
			v.Journal(c.wrote)
			v.AllEnded()
			said := said(v)
			if c.objects == "" && said != "" || !strings.Contains(said, c.objects) {
				t.Errorf("the judge said %q, nothing of %q", said, c.objects)
			}
		})
	}
}
