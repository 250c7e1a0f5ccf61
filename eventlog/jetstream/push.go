package jetstream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

const (
	// pushBuffer is the room for messages that came and wait for deliver: the
	// server's window, 32 MiB at most, of commits of 512 bytes. What does not
	// fit is asked for again.
	pushBuffer = 1 << 16
	// pushHeartbeatMin is the shortest interval that a server takes for its
	// signs of life when it pushes.
	pushHeartbeatMin = 100 * time.Millisecond
	// pushIdle is when the server forgets a consumer that nobody listens to.
	pushIdle = 5 * time.Second
)

// pusher is a consumer that the stream's leader makes by itself and that lives
// with it: a "direct" one, as servers use among themselves for mirrors. Any
// other is placed by the leader of all JetStream, on a server of its choice, and
// for seconds after one of these two is gone there is none. This one is there
// whenever appending works.
type pusher struct {
	log *Log
}

var _ source = (*pusher)(nil)

// pushRequest asks for a consumer.
type pushRequest struct {
	Stream string     `json:"stream_name"`
	Config pushConfig `json:"config"`
}

type pushConfig struct {
	Name              string `json:"name"`
	DeliverSubject    string `json:"deliver_subject"`
	DeliverPolicy     string `json:"deliver_policy"`
	OptStartSeq       uint64 `json:"opt_start_seq"`
	AckPolicy         string `json:"ack_policy"`
	ReplayPolicy      string `json:"replay_policy"`
	FlowControl       bool   `json:"flow_control"`
	Heartbeat         int64  `json:"idle_heartbeat"`
	InactiveThreshold int64  `json:"inactive_threshold"`
	Replicas          int    `json:"num_replicas"`
	MemoryStorage     bool   `json:"mem_storage"`
	Direct            bool   `json:"direct"`
}

// newPusher makes a consumer that begins at the next sequence. It has a name, so
// that asking again for the same one makes no second.
func (f *follower) newPusher(ctx context.Context, inbox string) (*pusher, error) {
	l := f.log
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	name := nuid.Next()
	var resp struct {
		Error *apiError `json:"error"`
	}
	err := l.ask(ctx, "$JS.API.CONSUMER.CREATE."+l.stream+"."+name, pushRequest{l.stream, pushConfig{
		Name: name, DeliverSubject: inbox, DeliverPolicy: "by_start_sequence", OptStartSeq: f.next,
		AckPolicy: "none", ReplayPolicy: "instant", FlowControl: true, Heartbeat: int64(l.cfg.Heartbeat),
		InactiveThreshold: int64(pushIdle), Replicas: 1, MemoryStorage: true, Direct: true,
	}}, &resp)
	if err == nil && resp.Error != nil {
		err = resp.Error
	}
	if err != nil {
		return nil, fmt.Errorf("create a consumer: %w", err)
	}
	return &pusher{l}, nil
}

// handled implements source: the server counts for itself.
func (p *pusher) handled(*nats.Msg) error { return nil }

// status implements source. The server asks now and then whether what it sent
// has been handled, and waits when its window is full; should an answer have
// been lost, it asks again with a sign of life.
func (p *pusher) status(m *nats.Msg) error {
	answer := m.Reply
	if answer == "" {
		answer = m.Header.Get("Nats-Consumer-Stalled")
	}
	if code := m.Header.Get("Status"); code != "100" {
		return fmt.Errorf("%w: %s %s", errRefused, code, m.Header.Get("Description"))
	}
	if answer == "" {
		return nil
	}
	return p.log.nc.Publish(answer, nil)
}

// close implements source. The server forgets a consumer whose inbox nobody
// listens to.
func (p *pusher) close() {}
