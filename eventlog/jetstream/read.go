package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

// The server's codes for what is not there.
const (
	noMessage = 10037
	noStream  = 10059
)

// getRequest asks for the message at Seq or, with NextBySubject, for the first
// one of a subject at or after it.
type getRequest struct {
	Seq           uint64 `json:"seq,omitzero"`
	NextBySubject string `json:"next_by_subj,omitzero"`
}

type getResponse struct {
	Error   *apiError `json:"error"`
	Message *struct {
		Subject string `json:"subject"`
		Seq     uint64 `json:"seq"`
		Header  []byte `json:"hdrs"`
		Data    []byte `json:"data"`
	} `json:"message"`
}

// infoResponse is what Info needs of the server's answer.
type infoResponse struct {
	Error   *apiError `json:"error"`
	Created time.Time `json:"created"`
	Config  struct {
		Replicas int               `json:"num_replicas"`
		Metadata map[string]string `json:"metadata"`
	} `json:"config"`
	State struct {
		Messages uint64 `json:"messages"`
		Bytes    uint64 `json:"bytes"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
		Deleted  uint64 `json:"num_deleted"`
	} `json:"state"`
	Cluster struct {
		Leader   string `json:"leader"`
		Replicas []struct {
			Offline bool  `json:"offline"`
			Active  int64 `json:"active"` // nanoseconds since a sign of life
		} `json:"replicas"`
	} `json:"cluster"`
}

// heardWithin is how long ago a leader must have heard of a replica: a sign of
// life goes round each second.
const heardWithin = 2 * time.Second

// heard counts the replicas that the leader hears, itself included. One that it
// never heard of is active since 0.
func (r *infoResponse) heard() int {
	n := 1
	for _, replica := range r.Cluster.Replicas {
		if !replica.Offline && 0 < replica.Active && replica.Active < int64(heardWithin) {
			n++
		}
	}
	return n
}

// Answers that are none.
var (
	// ErrNoLeader: nobody leads the stream's replicas.
	ErrNoLeader = errors.New("the event stream has no leader")
	// ErrNoMajority: who answered hears less than a majority of the replicas
	// and may tell of the past.
	ErrNoMajority = errors.New("the event stream's leader does not hear a majority of its replicas")
)

// Get implements eventlog.Log. The stream's leader answers.
func (l *Log) Get(ctx context.Context, seq uint64) (eventlog.Message, error) {
	if seq == 0 {
		return eventlog.Message{}, eventlog.ErrNotFound
	}
	return l.get(ctx, getRequest{Seq: seq})
}

// Next implements eventlog.Log. The stream's leader answers.
func (l *Log) Next(ctx context.Context, lane string, seq uint64) (eventlog.Message, error) {
	return l.get(ctx, getRequest{Seq: seq, NextBySubject: l.lanes + lane})
}

func (l *Log) get(ctx context.Context, req getRequest) (eventlog.Message, error) {
	var resp getResponse
	if err := l.ask(ctx, "$JS.API.STREAM.MSG.GET."+l.stream, req, &resp); err != nil {
		return eventlog.Message{}, err
	}
	switch {
	case resp.Error != nil:
		return eventlog.Message{}, l.readError(resp.Error)
	case resp.Message == nil:
		return eventlog.Message{}, fmt.Errorf("read %s: the server's answer holds no message", l.stream)
	}
	h, err := nats.DecodeHeadersMsg(resp.Message.Header)
	if err != nil {
		return eventlog.Message{}, fmt.Errorf("headers of sequence %d: %w", resp.Message.Seq, err)
	}
	return l.message(resp.Message.Subject, resp.Message.Seq, h, resp.Message.Data), nil
}

// message is a stored commit as it came.
func (l *Log) message(subject string, seq uint64, h nats.Header, body []byte) eventlog.Message {
	return eventlog.Message{
		Seq:  seq,
		Lane: strings.TrimPrefix(subject, l.lanes),
		ID:   h.Get(js.MsgIDHeader),
		Body: body,
	}
}

// Info implements eventlog.Log. A leader that was cut off answers from its past;
// within about two seconds it hears nobody, and then this is ErrNoMajority. A
// stream that was deleted, or made anew since Open, is eventlog.ErrDamaged; with
// several replicas only when it has been for Config.DamagePatience.
func (l *Log) Info(ctx context.Context) (eventlog.Info, error) {
	info, err := l.look(ctx)
	if err == nil && !info.Majority() {
		return eventlog.Info{}, fmt.Errorf("%w: %d of %d", ErrNoMajority, info.Heard, info.Replicas)
	}
	return info, err
}

// look is Info, whomever the leader hears.
func (l *Log) look(ctx context.Context) (eventlog.Info, error) {
	var resp infoResponse
	if err := l.ask(ctx, "$JS.API.STREAM.INFO."+l.stream, nil, &resp); err != nil {
		return eventlog.Info{}, err
	}
	if resp.Error != nil {
		return eventlog.Info{}, l.readError(resp.Error)
	}
	if resp.Config.Replicas > 1 && resp.Cluster.Leader == "" {
		return eventlog.Info{}, ErrNoLeader
	}
	if made := madeOf(resp.Created, resp.Config.Metadata); made != l.made {
		return eventlog.Info{}, l.identity(fmt.Errorf("%w: it is another one, %s: restore its files or a backup",
			eventlog.ErrDamaged, made))
	}
	if err := l.identity(nil); err != nil {
		return eventlog.Info{}, err
	}
	return eventlog.Info{
		FirstSeq: max(resp.State.FirstSeq, 1), // the server says 0 of a stream that never held anything
		LastSeq:  resp.State.LastSeq,
		Messages: resp.State.Messages,
		Deleted:  resp.State.Deleted,
		Bytes:    resp.State.Bytes,
		Replicas: resp.Config.Replicas,
		Heard:    resp.heard(),
		Leader:   resp.Cluster.Leader,
	}, nil
}

// identity takes a finding about whether the stream is the one of Open.
func (l *Log) identity(found error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost.Judge(found, l.replicas, time.Now())
}

// ask sends a request to the server's API and reads the answer into resp. With
// several replicas it may be sent several times, so it must be one that can be.
func (l *Log) ask(ctx context.Context, subject string, req, resp any) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.ReadTimeout)
	defer cancel()
	var body []byte
	if req != nil {
		var err error
		if body, err = json.Marshal(req); err != nil {
			return err
		}
	}
	reply, err := l.request(ctx, subject, body)
	if err != nil {
		return fmt.Errorf("read %s: %w", l.stream, err)
	}
	if err := json.Unmarshal(reply.Data, resp); err != nil {
		return fmt.Errorf("read %s: the server's answer is not understood: %w", l.stream, err)
	}
	return nil
}

// askAgain is how long an answer of several replicas is waited for before the
// question is sent again: one that was on its way to a server that died is lost,
// and nobody answers while a leader is elected.
const askAgain = 250 * time.Millisecond

// request asks and, with several replicas, asks again until there is an answer:
// after askAgain, and when another server leads. Any answer will do, however late:
// on a slow machine none may come in time.
func (l *Log) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	if l.replicas <= 1 {
		return l.nc.RequestWithContext(ctx, subject, body)
	}
	first, cancel := l.shortly(ctx)
	reply, err := l.nc.RequestWithContext(first, subject, body)
	cancel()
	if !again(ctx, err) {
		return reply, err
	}
	answers, err := l.nc.SubscribeSync(l.nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // fails only when the connection is closed
	for {
		if err := l.nc.PublishRequest(subject, answers.Subject, body); err != nil {
			return nil, err
		}
		wait, cancel := l.shortly(ctx)
		reply, err := answers.NextMsgWithContext(wait)
		cancel()
		if !again(ctx, err) {
			return reply, err
		}
	}
}

// shortly is ctx for askAgain, or until another server leads.
func (l *Log) shortly(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	term, end := l.elections.term(ctx)
	return term, func() { end(); cancel() }
}

// again says that a wait has ended, not what it was part of.
func again(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled))
}

// readError translates a refusal of the server.
func (l *Log) readError(e *apiError) error {
	switch e.ErrCode {
	case noMessage:
		return eventlog.ErrNotFound
	case noStream:
		return l.identity(fmt.Errorf("%w: %w: restore its files or a backup", eventlog.ErrDamaged, ErrNoStream))
	}
	return fmt.Errorf("read %s: %w", l.stream, e)
}
