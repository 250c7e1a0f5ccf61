package exec

import (
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/wire"
)

// TestAReportIsTheWires holds what is written by hand against the type.
func TestAReportIsTheWires(t *testing.T) {
	s := &session{cfg: Config{Name: "exec-1"}, incarnation: "inc", log: slog.New(slog.DiscardHandler)}
	run := &wire.Run{Stream: "s", Partition: 63, Run: "run_\"1", Attempt: 2, Version: 7}
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("x", 3600))
	lines := []wire.LogLine{{Time: at.UTC(), Stream: "stdout", Text: "a\x00\"é\u2028"}}
	for name, c := range map[string]struct {
		ended Ended
		out   *output
	}{
		"all":     {Ended{Kind: wire.Completed, Started: at, Finished: at, Result: jsontext.Value(`{"a":[1,null]}`)}, &output{inline: lines, spilled: true, bytes: 9}},
		"null":    {Ended{Kind: wire.Completed, Started: at, Finished: at, Result: jsontext.Value(`null`)}, &output{}},
		"failed":  {Ended{Kind: wire.Failed, Finished: at, Error: &wire.Error{Type: "E", Message: "\"", Traceback: "t\n"}}, nil},
		"nothing": {Ended{Kind: wire.HandedBack, Finished: at}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := wire.Report{
				SpecVersion: "1.0", ID: "inc/run_\"1/2", Source: "/belfry/exec/exec-1", Type: wire.ReportType,
				Subject: "run_\"1", Time: at.UTC(),
				Data: wire.Outcome{
					Stream: "s", Incarnation: "inc", Partition: 63, Run: "run_\"1", Attempt: 2, Kind: c.ended.Kind,
					FunctionVersion: 7, Started: c.ended.Started.UTC(), Finished: at.UTC(), Result: c.ended.Result, Error: c.ended.Error,
				},
			}
			if c.out != nil {
				want.Data.Logs, want.Data.LogsTruncated, want.Data.LogBytes = c.out.inline, c.out.spilled, c.out.bytes
			}
			data := s.report(run, c.ended, c.out)
			var got wire.Report
			if err := json.Unmarshal(data, &got, json.RejectUnknownMembers(true)); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestAReportIsJSONWhateverTheRuntimeSays(t *testing.T) {
	s := &session{cfg: Config{Name: "exec-1"}, incarnation: "inc", log: slog.New(slog.DiscardHandler)}
	data := s.report(&wire.Run{Run: "\xff"}, Ended{
		Kind: wire.Completed, Result: jsontext.Value(`{"a":1,"a":2}`), Error: &wire.Error{Message: "\xff"},
	}, &output{inline: []wire.LogLine{{Text: "\xff"}}})
	var got wire.Report
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if got.Data.Kind != wire.Failed || got.Data.Error.Type != "ResultNotJSON" {
		t.Errorf("got %+v", got)
	}
}
