package client

import (
	"context"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/node/api"
)

// AuditEvents reads events in the order of the log.
func (c *Client) AuditEvents(ctx context.Context, in api.AuditEvents) (api.AuditPage, error) {
	return call[api.AuditPage](ctx, c, "audit", "events", in)
}

// AuditAt reads a record as it stood, as it is sent: its shape is its entity's.
func (c *Client) AuditAt(ctx context.Context, in api.AuditAt) (jsontext.Value, error) {
	return c.Ask(ctx, "audit", "at", in)
}

// verifyWait is how long one request of VerifyAudit waits: as often there is
// progress to tell.
const verifyWait = "1s"

// VerifyAudit lets the node judge its whole log, as it is now, and returns the
// verdict; or that of the verification with an id, if that is not "". Progress,
// if not nil, is told about once a second. That something is wrong is no error:
// see Status. When ctx ends, the verification goes on.
func (c *Client) VerifyAudit(ctx context.Context, id string, progress func(api.AuditVerdict)) (api.AuditVerdict, error) {
	for in := (api.AuditVerify{ID: id, Wait: verifyWait}); ; {
		verdict, err := call[api.AuditVerdict](ctx, c, "audit", "verify", in)
		if err != nil || verdict.Status != api.VerifyRunning {
			return verdict, err
		}
		if progress != nil {
			progress(verdict)
		}
		in.ID = verdict.ID
		if ctx.Err() != nil {
			return verdict, context.Cause(ctx)
		}
	}
}

// FollowAudit calls each with every event that in asks for, in the order of the
// log, as Belfry sent it: first with those that are there, then with those that
// happen, through outages too. It ends with each's error, with a refusal, or
// with ctx's cause. Belfry does not tell callers of events, so this asks again
// and again.
func (c *Client) FollowAudit(ctx context.Context, in api.AuditEvents, each func(jsontext.Value) error) error {
	for pause := shortestPause; ; pause = longer(pause) {
		page, err := c.AuditEvents(ctx, in)
		if err != nil && outage(err) == nil {
			return err
		}
		for _, event := range page.Events {
			if err := each(event); err != nil {
				return err
			}
		}
		more := page.Next != "" && page.Next != in.After
		if in.After, err = endOf(page, in.After); err != nil {
			return err
		}
		if more || len(page.Events) > 0 {
			pause = shortestPause
		}
		if more {
			continue // there is another page already
		}
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// endOf is where a page ended that began after a place. The last page has no
// Next: it ended with the commit of its last event.
func endOf(page api.AuditPage, after string) (string, error) {
	if page.Next != "" {
		return page.Next, nil
	}
	if len(page.Events) == 0 {
		return after, nil
	}
	var last struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal(page.Events[len(page.Events)-1], &last, lenient()); err != nil {
		return "", err
	}
	return strconv.FormatUint(last.Seq, 10), nil
}
