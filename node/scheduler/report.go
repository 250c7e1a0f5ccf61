package scheduler

import (
	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/command"
)

// storedReport is a report that its executor may forget.
type storedReport struct {
	executor, incarnation string
	partition             int
	attempt               wire.Attempt
}

type reported struct {
	executor string // from the subject, which permissions pin
	outcome  wire.Outcome
}

func (s *Scheduler) hearReport(subject string, body []byte) {
	var r wire.Report
	if err := json.Unmarshal(body, &r); err != nil || r.Type != wire.ReportType {
		s.log.Warn("a report that is not one was ignored", "subject", subject)
		return
	}
	s.post(reported{wire.Sender(subject), r.Data})
}

// handle counts a report only if it comes from the executor, incarnation and
// attempt of the open claim. All others are void for good, and acknowledged, so
// that they end; but only when what is decided so far is stored, since the end
// that makes them void may not be yet.
func (m reported) handle(s *Scheduler) {
	o := m.outcome
	if o.Stream != s.cfg.Stream || o.Partition != eventlog.PartitionOf(eventlog.EntityRun, o.Run) || !s.owns(o.Partition) {
		return
	}
	a := s.attempts[o.Run]
	if a != nil && a.n == o.Attempt && a.executor == m.executor && a.incarnation == o.Incarnation && a.claimSeq != 0 {
		if o.Kind == wire.CodeMissing {
			if e := s.execs[a.executor]; e != nil && a.function != nil {
				s.send(e, a, true)
			}
			return
		}
		s.end(a, endingOf(o.Kind), reportedOf(o))
	} else {
		s.stats.VoidReports.Add(1)
		if o.Kind == wire.CodeMissing {
			return
		}
	}
	ack := storedReport{m.executor, o.Incarnation, o.Partition, wire.Attempt{Run: o.Run, Attempt: o.Attempt}}
	if c := s.whenStored(); c != nil {
		c.stored = append(c.stored, ack)
	} else {
		s.acknowledge([]storedReport{ack})
	}
}

func endingOf(k wire.OutcomeKind) command.Ending {
	switch k {
	case wire.Completed:
		return command.EndedCompleted
	case wire.Failed, wire.TimedOut, wire.CodeMissing:
		return command.EndedFailed
	case wire.Canceled:
		return command.EndedCanceled
	case wire.HandedBack:
		return command.EndedHandedBack
	case wire.Lost:
		return command.EndedLost
	}
	return command.EndedFailed
}

func reportedOf(o wire.Outcome) command.Reported {
	r := command.Reported{
		FunctionVersion: o.FunctionVersion, Started: o.Started, Finished: o.Finished,
		Result: o.Result, LogsTruncated: o.LogsTruncated,
		Sandbox: eventlog.Sandbox(o.Sandbox), Stopped: eventlog.Stop(o.Stopped),
	}
	if r.Result == nil {
		r.Result = []byte("null")
	}
	if o.Error != nil {
		r.Error = eventlog.Error(*o.Error)
	} else if o.Kind != wire.Completed {
		r.Error = eventlog.Error{Type: "Unknown", Message: "the executor gave no reason"}
	}
	for _, l := range o.Logs {
		r.Logs = append(r.Logs, eventlog.LogLine{Time: eventlog.TimeOf(l.Time), Stream: l.Stream, Text: l.Text})
	}
	return r
}

// acknowledge tells executors which reports they may forget. Those of a partition
// that was given away meanwhile come again, to who decides for it now: what we
// said under its epoch, which may not even be in the log, would refuse that one.
func (s *Scheduler) acknowledge(reports []storedReport) {
	type to struct {
		executor, incarnation string
		partition             int
	}
	lists := map[to][]wire.Attempt{}
	for _, r := range reports {
		if !s.owns(r.partition) {
			continue
		}
		k := to{r.executor, r.incarnation, r.partition}
		lists[k] = append(lists[k], r.attempt)
	}
	for k, attempts := range lists {
		body, err := json.Marshal(wire.Stored{
			Stream: s.cfg.Stream, Incarnation: k.incarnation, Partition: k.partition,
			Epoch: s.epochOf(k.partition), Attempts: attempts,
		})
		if err == nil {
			err = s.cfg.Bus.Publish(s.cfg.Prefix.ExecSubject(k.executor, wire.VerbStored), body)
		}
		if err != nil { // the report comes again, and is acknowledged again
			s.log.Warn("an acknowledgement could not be sent", "executor", k.executor, "error", err)
		}
	}
}
