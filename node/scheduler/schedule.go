package scheduler

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/projection"
)

// schedulesMax bounds what executors may have asked for and not yet been told;
// beyond it a question is dropped, and comes again.
const schedulesMax = 1024

// scheduleWithin is how long an answer is sought; then the question comes again.
const scheduleWithin = 5 * time.Second

// schedule is what the code of a run wants scheduled.
type schedule struct {
	executor string // from the subject, which permissions pin
	wire.Schedule
}

func (s *Scheduler) hearSchedule(subject string, body []byte) {
	var m wire.Schedule
	if err := json.Unmarshal(body, &m); err != nil {
		s.log.Warn("a question that is not one was ignored", "subject", subject)
		return
	}
	s.post(schedule{wire.Sender(subject), m})
}

// handle has an owner decide. It waits for the log outside of the loop, as a
// request does, and as there a refusal is an answer, but for one that says
// nothing of the item: then the question comes again, here or to another owner.
func (m schedule) handle(s *Scheduler) {
	if m.Stream != s.cfg.Stream || m.Partition != eventlog.PartitionOf(eventlog.EntityRun, m.Run) || !s.owns(m.Partition) {
		return
	}
	select {
	case s.schedules <- struct{}{}:
	default:
		return
	}
	s.loops.Go(func() {
		defer func() { <-s.schedules }()
		s.answer(m)
	})
}

func (s *Scheduler) answer(m schedule) {
	ctx, cancel := s.within(scheduleWithin)
	defer cancel()
	reply := wire.Scheduled{Stream: m.Stream, Incarnation: m.Incarnation, Partition: m.Partition, Number: m.Number}
	c, refused := command.NewScheduleItem(s.now(), command.Scheduling{
		Run: m.Run, Attempt: m.Attempt, Executor: m.executor, Incarnation: m.Incarnation,
	}, command.Wanted{
		Name: m.Item.Name, At: m.Item.At, After: m.Item.After, Function: m.Item.Function, Data: m.Item.Data,
	})
	commands := []command.Command{c}
	if refused != nil {
		commands = nil // only the epoch is to be seen
	}
	answer, silent := s.Do(ctx, false, func(st *projection.State) {
		reply.Epoch = s.epochOf(m.Partition)
		run := st.Run(m.Run)
		if run == nil || refused != nil {
			return
		}
		if i := st.Item(command.ScheduledID(m.Run, run.FirstClaimed, m.Item.Name)); i != nil {
			reply.Answer.ID, reply.Answer.RunDateTime = i.ID, i.RunDateTime.Std().Format(eventlog.TimeLayout)
		}
	}, commands...)
	if silent != nil {
		return
	}
	for _, o := range answer.Outcomes {
		refused = o.Err
	}
	if refused != nil {
		if refused.Code == api.Unavailable || refused.Code == api.Timeout {
			return
		}
		reply.Answer = wire.ScheduleAnswer{Error: &wire.Refusal{Code: string(refused.Code), Message: refused.Message, Field: refused.Field}}
	}
	body, err := json.Marshal(reply)
	if err == nil { // if it is not sent, the question comes again
		err = s.cfg.Bus.Publish(s.cfg.Prefix.ExecSubject(m.executor, wire.VerbScheduled), body)
	}
	if err != nil {
		s.log.Warn("an answer could not be sent", "executor", m.executor, "error", err)
	}
}
