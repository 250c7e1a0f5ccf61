package jetstream

import (
	"context"
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
		Replicas int `json:"num_replicas"`
	} `json:"config"`
	State struct {
		Messages uint64 `json:"messages"`
		Bytes    uint64 `json:"bytes"`
		FirstSeq uint64 `json:"first_seq"`
		LastSeq  uint64 `json:"last_seq"`
		Deleted  uint64 `json:"num_deleted"`
	} `json:"state"`
	Cluster *clusterInfo `json:"cluster"` // nil for a server alone
}

// heardWithin is how fresh a replica's last sign of life must be. One that was
// never heard, or is dead, can show 0.
const heardWithin = 2 * time.Second

// clusterInfo is who holds the stream, as its leader sees it.
type clusterInfo struct {
	Leader   string `json:"leader"`
	Replicas []struct {
		Name    string `json:"name"`
		Current bool   `json:"current"`
		Offline bool   `json:"offline"`
		Active  int64  `json:"active"` // nanoseconds since it was heard
	} `json:"replicas"` // but for the leader
}

// online counts the replicas that can be relied on, and those of them that have
// what the leader has.
func (c *clusterInfo) online() (online, current int) {
	if c == nil {
		return 1, 1
	}
	if c.Leader == "" {
		return 0, 0 // who says so has not heard of anybody
	}
	online, current = 1, 1
	for _, r := range c.Replicas {
		if !r.Offline && r.Active > 0 && r.Active < int64(heardWithin) {
			online++
			if r.Current {
				current++
			}
		}
	}
	return online, current
}

func (c *clusterInfo) leader() string {
	if c == nil {
		return ""
	}
	return c.Leader
}

// Get implements eventlog.Log. The stream's leader answers.
func (l *Log) Get(ctx context.Context, seq uint64) (eventlog.Message, error) {
	if seq == 0 {
		return eventlog.Message{}, eventlog.ErrNotFound
	}
	return l.get(ctx, getRequest{Seq: seq})
}

// Next implements eventlog.Log. The stream's leader answers.
func (l *Log) Next(ctx context.Context, lane string, seq uint64) (eventlog.Message, error) {
	return l.get(ctx, getRequest{Seq: seq, NextBySubject: eventlog.Subject(lane)})
}

func (l *Log) get(ctx context.Context, req getRequest) (eventlog.Message, error) {
	var resp getResponse
	if err := l.ask(ctx, "$JS.API.STREAM.MSG.GET."+eventlog.Stream, req, &resp); err != nil {
		return eventlog.Message{}, err
	}
	switch {
	case resp.Error != nil:
		return eventlog.Message{}, readError(resp.Error)
	case resp.Message == nil:
		return eventlog.Message{}, fmt.Errorf("read %s: the server's answer holds no message", eventlog.Stream)
	}
	h, err := nats.DecodeHeadersMsg(resp.Message.Header)
	if err != nil {
		return eventlog.Message{}, fmt.Errorf("headers of sequence %d: %w", resp.Message.Seq, err)
	}
	return message(resp.Message.Subject, resp.Message.Seq, h, resp.Message.Data), nil
}

// message is a stored commit as it came.
func message(subject string, seq uint64, h nats.Header, body []byte) eventlog.Message {
	return eventlog.Message{
		Seq:  seq,
		Lane: strings.TrimPrefix(subject, eventlog.SubjectPrefix),
		ID:   h.Get(js.MsgIDHeader),
		Body: body,
	}
}

// Info implements eventlog.Log. A leader that was cut off and does not know it
// answers from its past. A stream that was deleted, or made anew since Open, is
// eventlog.ErrDamaged.
func (l *Log) Info(ctx context.Context) (eventlog.Info, error) {
	resp, err := l.info(ctx)
	if err != nil {
		return eventlog.Info{}, err
	}
	online, _ := resp.Cluster.online()
	return eventlog.Info{
		FirstSeq: max(resp.State.FirstSeq, 1), // the server says 0 of a stream that never held anything
		LastSeq:  resp.State.LastSeq,
		Messages: resp.State.Messages,
		Deleted:  resp.State.Deleted,
		Bytes:    resp.State.Bytes,
		Replicas: resp.Config.Replicas,
		Leader:   resp.Cluster.leader(),
		Online:   online,
	}, nil
}

// info is the server's answer about the very stream that was opened.
func (l *Log) info(ctx context.Context) (infoResponse, error) {
	var resp infoResponse
	if err := l.ask(ctx, "$JS.API.STREAM.INFO."+eventlog.Stream, nil, &resp); err != nil {
		return resp, err
	}
	if resp.Error != nil {
		return resp, readError(resp.Error)
	}
	if !resp.Created.Equal(l.created) {
		return resp, fmt.Errorf("%w: it is another one, made at %s: restore its files or a backup",
			eventlog.ErrDamaged, resp.Created.Format(eventlog.TimeLayout))
	}
	return resp, nil
}

// ask sends a request to the server's API and reads the answer into resp.
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
	reply, err := l.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return fmt.Errorf("read %s: %w", eventlog.Stream, err)
	}
	if err := json.Unmarshal(reply.Data, resp); err != nil {
		return fmt.Errorf("read %s: the server's answer is not understood: %w", eventlog.Stream, err)
	}
	return nil
}

// readError translates a refusal of the server.
func readError(e *apiError) error {
	switch e.ErrCode {
	case noMessage:
		return eventlog.ErrNotFound
	case noStream:
		return fmt.Errorf("%w: %w: restore its files or a backup", eventlog.ErrDamaged, ErrNoStream)
	}
	return fmt.Errorf("read %s: %w", eventlog.Stream, e)
}
