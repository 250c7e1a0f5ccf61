package exec

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/exec/wire"
)

// schedule asks the owner of a run for an item until it answers, whoever that is
// by then, or ctx ends: then the item may have been made, and who asks for it
// again, in this attempt or the next, is told of the same one.
func (s *session) schedule(ctx context.Context, h *held, item wire.Item) (wire.ScheduleAnswer, error) {
	r := h.run
	if bytes := len(item.Name) + len(item.Function) + len(item.At) + len(item.After); bytes > wire.ScheduleBytesMax {
		return refusal("too_large", "the item has %d bytes without its data, %d are allowed: shorten its name", bytes, wire.ScheduleBytesMax), nil
	}
	if len(item.Data) > wire.DataBytesMax {
		return refusal("too_large", "data has %d bytes, more than %d: store it elsewhere and pass a reference", len(item.Data), wire.DataBytesMax), nil
	}
	answer := make(chan wire.ScheduleAnswer, 1)
	s.mu.Lock()
	if !h.mayAsk(item.Name) {
		s.mu.Unlock()
		return refusal("too_large", "a run may schedule %d items: schedule one that schedules the rest", wire.ScheduleMax), nil
	}
	s.asks++
	number := s.asks
	s.asked[number] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.asked, number)
		s.mu.Unlock()
	}()
	body, err := json.Marshal(wire.Schedule{
		Stream: r.Stream, Incarnation: s.incarnation, Partition: r.Partition,
		Run: r.Run, Attempt: r.Attempt, Number: number, Item: item,
	})
	if err != nil {
		return refusal("invalid", "the item cannot be written as JSON: %v", err), nil
	}
	again := time.NewTicker(s.cfg.ReportEvery)
	defer again.Stop()
	for {
		s.publish(s.cfg.Prefix.ScheduleSubject(s.cfg.Name, r.Partition), body)
		select {
		case a := <-answer:
			return a, nil
		case <-again.C:
		case <-ctx.Done():
			return wire.ScheduleAnswer{}, context.Cause(ctx)
		}
	}
}

// mayAsk says whether the attempt may ask for an item of a name, and counts it.
func (h *held) mayAsk(name string) bool {
	if _, before := h.scheduled[name]; before {
		return true
	}
	if len(h.scheduled) >= wire.ScheduleMax {
		return false
	}
	if h.scheduled == nil {
		h.scheduled = map[string]struct{}{}
	}
	h.scheduled[name] = struct{}{}
	return true
}

func refusal(code, format string, args ...any) wire.ScheduleAnswer {
	return wire.ScheduleAnswer{Error: &wire.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// onScheduled gives an answer to the run that waits for it, if it still does.
func (s *session) onScheduled(m *wire.Scheduled) reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.current(m.Stream, m.Incarnation, m.Partition, m.Epoch); r != accepted {
		return r
	}
	select {
	case s.asked[m.Number] <- m.Answer:
	default: // nobody waits, or it was answered before
	}
	return accepted
}
