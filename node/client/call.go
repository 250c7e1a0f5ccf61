package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
)

// How often a request is asked again.
const (
	// UnavailableRetriesMax bounds repetitions of what was not stored. With
	// the pauses below they span about three seconds, which is what it takes
	// for the work of a lost node to be taken over.
	UnavailableRetriesMax = 5
	// unknownRetriesMax bounds repetitions of what may have been stored: each
	// may last as long as Config.Timeout.
	unknownRetriesMax = 1
	// firstRetry is the pause before the first repetition; each doubles.
	firstRetry = 100 * time.Millisecond
)

// call asks for a verb and reads the answer.
func call[Rep any](ctx context.Context, c *Client, entity, verb string, req any) (Rep, error) {
	var rep Rep
	raw, err := c.Ask(ctx, entity, verb, req)
	if err != nil {
		return rep, err
	}
	if err := json.Unmarshal(raw, &rep, lenient()); err != nil {
		return rep, fmt.Errorf("the answer to %s.%s is not understood: %w: use a client of Belfry's own version", entity, verb, err)
	}
	return rep, nil
}

// Ask sends req, as JSON, to a verb and gives the answer exactly as it came,
// also of entities and fields that this version does not know. A refusal is an
// *api.Error; when ctx was cancelled, the error is its cause.
func (c *Client) Ask(ctx context.Context, entity, verb string, req any) (jsontext.Value, error) {
	if err := checkUser(c.user); err != nil {
		return nil, err
	}
	body, err := json.Marshal(req, lenient(), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("the request %s.%s cannot be written as JSON: %w", entity, verb, err)
	}
	q := question{what: entity + "." + verb, msg: nats.NewMsg(c.prefix.Subject(c.user, entity, verb))}
	q.msg.Data = body
	if w, ok := req.(interface{ Patience() time.Duration }); ok {
		q.patience = w.Patience()
	}
	if !reads(verb) {
		q.id = requestID(ctx)
		q.msg.Header.Set(api.HeaderRequestID, q.id)
	}
	return c.insist(ctx, q)
}

// lenient leaves it to Belfry which JSON it takes.
func lenient() json.Options {
	return json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// question is a request under way.
type question struct {
	what string // entity.verb
	id   string // the request's, "" for a read
	// patience is how long the answer may wait for something to end.
	patience time.Duration
	msg      *nats.Msg
}

// insist asks until there is an answer, a refusal that stands, or no hope.
func (c *Client) insist(ctx context.Context, q question) (jsontext.Value, error) {
	var unavailable, unknown int
	pause := firstRetry
	for {
		answer, err := c.once(ctx, q)
		refusal := outage(err)
		if refusal == nil {
			return answer, err
		}
		if refusal.Code == api.Timeout {
			unknown++
		} else {
			unavailable++
		}
		if unknown > unknownRetriesMax || unavailable > UnavailableRetriesMax || !sleep(ctx, pause) {
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, context.Cause(ctx)
			}
			if unknown > 0 && refusal.Code == api.Unavailable {
				refusal = q.unknown("an earlier attempt was not answered")
			}
			return nil, refusal
		}
		pause *= 2
	}
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, q question) (jsontext.Value, error) {
	attempt, end := c.under.begin(ctx, q.msg.Subject, c.timeout+q.patience)
	defer end()
	started := time.Now()
	reply, err := c.nc.RequestMsgWithContext(attempt, q.msg)
	if err != nil {
		if cause := context.Cause(attempt); cause != nil {
			err = cause
		}
		return nil, c.unanswered(ctx, q, err, time.Since(started))
	}
	if reply.Header.Get(api.HeaderError) != "" || reply.Header.Get(api.HeaderErrorCode) != "" {
		return nil, refusalOf(reply)
	}
	return reply.Data, nil
}
