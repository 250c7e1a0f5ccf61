package service

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
)

// Headers of what nodes ask each other. A refusal has HeaderError as callers get
// it; its body is the same.
const (
	headerUser   = "Belfry-User"
	headerWithin = "Belfry-Within" // milliseconds that are left for the answer
	headerItems  = "Belfry-Items"  // of a create_many, the places that are asked for
	headerOwner  = "Belfry-Owner"  // of a refusal: who decides instead
)

// Nodes is a connection of the node's identity, which neither callers nor
// executors share: a *nats.Conn.
type Nodes interface {
	// RequestMsgWithContext returns nats.ErrNoResponders if nobody has heard the
	// question, and nobody will.
	RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error)
	PublishMsg(m *nats.Msg) error
}

// hopSubject is where a node hears what others ask it.
func (s *Service) hopSubject(node, verb string) string {
	return s.cfg.Prefix.String() + ".node." + node + "." + verb
}

// errUnheard says that a hop was never begun, so that it did nothing.
var errUnheard = errors.New("nobody has heard the question")

// hop asks another node to carry a request out, and waits no longer when a node
// departs: it may be this one. The error says that there is no answer; unless it
// is errUnheard, one may yet be on its way.
func (s *Service) hop(ctx context.Context, r *request, owner string) (jsontext.Value, *api.Error, error) {
	until, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, patience(r.verb))
	defer cancel()
	defer context.AfterFunc(s.cfg.Scheduler.Departure(), cancel)()
	m := nats.NewMsg(s.hopSubject(owner, r.verb))
	m.Header.Set(headerUser, r.user)
	m.Header.Set(api.HeaderRequestID, r.id)
	m.Header.Set(headerWithin, strconv.FormatInt(time.Until(until).Milliseconds(), 10))
	if r.items != nil {
		m.Header.Set(headerItems, r.items.Text(16))
	}
	m.Data = r.body
	reply, err := s.cfg.Node.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, nil, errUnheard
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, api.Errorf(api.TooLarge, "", "the request has %d bytes, too many to be passed on to the node that decides it: send it in parts", len(r.body)), nil
	case err != nil:
		return nil, nil, err
	case reply.Header.Get(api.HeaderErrorCode) == "":
		return jsontext.Value(reply.Data), nil, nil
	}
	var refused api.ErrorBody
	if err := json.Unmarshal(reply.Data, &refused); err != nil || refused.Error == nil {
		return nil, nil, fmt.Errorf("node %s gave no answer that can be read", owner)
	}
	refused.Error.Owner = reply.Header.Get(headerOwner)
	return nil, refused.Error, nil
}

// patience is how long one hop waits for the answer to a verb.
func patience(verb string) time.Duration {
	switch verb {
	case "function.create", "function.update":
		return checkPatience
	case "cluster.transfer":
		return transferPatience
	}
	return hopPatience
}

// hear takes what another node asks, to a worker that serves no callers: those
// may all be waiting for other nodes.
func (s *Service) hear(table map[string]verb) func(*nats.Msg) {
	return func(m *nats.Msg) {
		token := strings.SplitN(m.Subject, ".", 4) // <prefix>.node.<name>.<entity>.<verb>
		if do := table[token[len(token)-1]]; len(token) == 4 && do != nil {
			s.hops.take(s, func() { s.answerHop(m, token[3], do) })
		}
	}
}

func (s *Service) answerHop(m *nats.Msg, name string, do verb) {
	within, err := strconv.ParseInt(m.Header.Get(headerWithin), 10, 64)
	if err != nil || within <= 0 {
		return // whoever asked waits no more
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(deadline, time.Duration(within)*time.Millisecond))
	defer cancel()
	id := m.Header.Get(api.HeaderRequestID)
	r := &request{verb: name, user: m.Header.Get(headerUser), id: id, cause: id, body: m.Data, hop: true, stored: new(bool)}
	if items := m.Header.Get(headerItems); items != "" {
		r.items, _ = new(big.Int).SetString(items, 16)
	}
	answer, refused := do(s, ctx, r)
	refused = r.final(refused)
	reply := s.write(m.Subject, m.Reply, answer, refused)
	if refused != nil && refused.Owner != "" {
		reply.Header.Set(headerOwner, refused.Owner)
	}
	if err := s.cfg.Node.PublishMsg(reply); err != nil {
		s.cfg.Logger.Warn("an answer to another node could not be sent", "subject", m.Subject, "error", err)
	}
}
