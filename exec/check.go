package exec

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/exec/wire"
)

// errCheckTime is the cause of a check's context when its time is over.
var errCheckTime = errors.New("the executor had no time for the check")

// onCheck has code checked beside everything else.
func (s *session) onCheck(msg *nats.Msg, c *wire.Check) reason {
	select {
	case s.checks <- struct{}{}:
	default:
		s.respond(msg, &wire.Checked{Unavailable: "the executor has too many checks under way: try again"})
		return accepted
	}
	s.wg.Go(func() {
		defer func() { <-s.checks }()
		ctx, cancel := context.WithTimeoutCause(s.ctx, s.cfg.CheckMax, errCheckTime)
		defer cancel()
		var answer wire.Checked
		flaw, err := s.runtime.Check(ctx, c.Name, c.Code)
		if answer.Error = flaw; err != nil {
			answer.Unavailable = err.Error()
		}
		s.respond(msg, &answer)
	})
	return accepted
}
