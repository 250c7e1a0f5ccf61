package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

const (
	// pullBuffer is the room for messages that came and wait for deliver. It
	// holds two requests of small commits; what does not fit is pulled again.
	pullBuffer = 1 << 15
	// pullExpires is how long the server keeps a request of Follow.
	pullExpires = 30 * time.Second
	// pullBatch is the server's bound in messages, out of reach: bytes bound a
	// request, so that each ends with a status, and requests can be counted.
	pullBatch = 1 << 20
	// consumerIdle is when the server forgets a consumer whose Follow is gone.
	consumerIdle = 30 * time.Second
	// refusedMax is how many requests in a row may end without a message.
	refusedMax = 3
)

// errRefused ends a round: asking again would not help.
var errRefused = errors.New("the server ends requests without messages")

// puller is a consumer at the server and the requests that it works on.
type puller struct {
	log     *Log
	name    string
	inbox   string
	body    []byte // of a request
	open    int    // requests without an end yet
	bytes   int    // handled since the latest request
	refused int    // requests that ended without a message, in a row
}

var _ source = (*puller)(nil)

// newPuller makes a consumer that begins at the next sequence. It lives in the
// memory of one server, acknowledges nothing and dies with it.
func (f *follower) newPuller(ctx context.Context, inbox string) (*puller, error) {
	l := f.log
	body, err := json.Marshal(struct {
		Batch     int   `json:"batch"`
		MaxBytes  int   `json:"max_bytes"`
		Expires   int64 `json:"expires"`
		Heartbeat int64 `json:"idle_heartbeat"`
	}{pullBatch, l.cfg.PullBytes, int64(pullExpires), int64(l.cfg.Heartbeat)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	consumer, err := l.js.CreateConsumer(ctx, l.stream, js.ConsumerConfig{
		DeliverPolicy:     js.DeliverByStartSequencePolicy,
		OptStartSeq:       f.next,
		AckPolicy:         js.AckNonePolicy,
		Replicas:          1,
		MemoryStorage:     true,
		InactiveThreshold: consumerIdle,
	})
	if err != nil {
		return nil, fmt.Errorf("create a consumer: %w", err)
	}
	p := &puller{log: l, name: consumer.CachedInfo().Name, inbox: inbox, body: body}
	return p, p.request()
}

// close lets the server forget the consumer at once. Nobody waits for it: one
// that this does not reach is forgotten after consumerIdle.
func (p *puller) close() {
	_ = p.log.nc.Publish("$JS.API.CONSUMER.DELETE."+p.log.stream+"."+p.name, nil)
}

func (p *puller) request() error {
	p.open++
	p.bytes = 0
	return p.log.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.log.stream+"."+p.name, p.inbox, p.body)
}

// handled counts a delivered message; after half a request it asks for another
// one, so that the server works while deliver does.
func (p *puller) handled(m *nats.Msg) error {
	p.refused = 0
	if p.bytes += m.Size(); p.open == 1 && p.bytes > p.log.cfg.PullBytes/2 {
		return p.request()
	}
	return nil
}

// isStatus tells a server's note from a message, which has a subject of the
// stream.
func isStatus(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") != "" }

// status takes the server's note on a request: a heartbeat, or its end.
func (p *puller) status(m *nats.Msg) error {
	switch code := m.Header.Get("Status"); code {
	case "100":
		return nil
	case "503": // nobody listens: the consumer is gone
		return errRefused
	case "408": // expired
	default: // mostly: the next message exceeds what is left of the bytes
		if p.refused++; p.refused > refusedMax {
			return fmt.Errorf("%w: %s %s", errRefused, code, m.Header.Get("Description"))
		}
	}
	if p.open--; p.open <= 0 {
		p.open = 0
		return p.request()
	}
	return nil
}
