package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	// streamEvents is the stream that Health watches.
	streamEvents = "BELFRY_EVENTS"
	// healthWithin bounds the question for the leader of JetStream's meta
	// group, which nobody answers where there is none.
	healthWithin = time.Second
	// heardWithin is how fresh a peer's last sign of life must be. One that was
	// never heard shows 0, and so may one that is dead.
	heardWithin = 2 * time.Second
)

// Health is how JetStream does, seen from one server.
type Health struct {
	// Current says that a leader of the meta group is known which hears a
	// majority, and that what is stored on this server is up to date.
	Current bool
	// Why says in a sentence what is not current; "" if all is.
	Why string
	// MetaLeader is the server that leads JetStream's meta group; "" if none
	// answered, and for a server alone.
	MetaLeader string
	// EventsLeader is the server that leads the event stream, as far as this
	// one has heard; "" if there is none, or the stream is not kept here.
	EventsLeader string
	// Peers are the meta group's members, this server among them, as its leader
	// sees them. None for a server alone, or without a leader.
	Peers []Peer
}

// Peer is a member of JetStream's meta group.
type Peer struct {
	// Name of the server. Of one that the leader has not met since its own
	// start it is a sentence that says so.
	Name string
	// Online: the leader heard it within two seconds.
	Online bool
}

// metaAnswer is what Health needs of a server's account of JetStream.
type metaAnswer struct {
	Data struct {
		Meta struct {
			Leader   string `json:"leader"`
			Replicas []struct {
				Name    string `json:"name"`
				Offline bool   `json:"offline"`
				Active  int64  `json:"active"` // nanoseconds since it was heard
			} `json:"replicas"`
		} `json:"meta_cluster"`
	} `json:"data"`
}

// Health looks at JetStream. It takes at most a second. The error is that the
// question could not be asked; that JetStream is ill is no error.
func (b *Broker) Health(ctx context.Context) (Health, error) {
	if b.isStopped() {
		return Health{}, ErrStopped
	}
	if b.cfg.ClusterAddr == "" {
		return Health{Current: true}, nil
	}
	var h Health
	if err := b.askMetaLeader(ctx, &h); err != nil {
		return Health{}, err
	}
	behind, err := b.lookAtStreams(&h)
	if err != nil {
		return Health{}, err
	}
	online := 0
	for _, peer := range h.Peers {
		if peer.Online {
			online++
		}
	}
	switch {
	case h.MetaLeader == "":
		h.Why = "JetStream has no leader: a majority of the servers must reach each other"
	case online*2 <= len(h.Peers):
		h.Why = fmt.Sprintf("JetStream's leader %s hears %d of %d servers: start the others or mend the network", h.MetaLeader, online, len(h.Peers))
	case !b.server.JetStreamIsCurrent():
		h.Why = "this server has not caught up with JetStream's leader yet"
	case behind != "":
		h.Why = fmt.Sprintf("stream %s has not caught up on this server yet", behind)
	}
	h.Current = h.Why == ""
	return h, nil
}

// askMetaLeader fills in what only the leader of the meta group knows.
func (b *Broker) askMetaLeader(ctx context.Context, h *Health) error {
	conn, err := b.control()
	if err != nil {
		return err
	}
	ask, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	reply, err := conn.RequestWithContext(ask, "$SYS.REQ.SERVER.PING.JSZ", []byte(`{"leader_only":true}`))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil //nolint:nilerr // nobody leads
	}
	var answer metaAnswer
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("health: the nats server's answer is not understood: %w", err)
	}
	meta := answer.Data.Meta
	if h.MetaLeader = meta.Leader; h.MetaLeader == "" {
		return nil
	}
	h.Peers = []Peer{{Name: meta.Leader, Online: true}}
	for _, r := range meta.Replicas {
		if r.Name == meta.Leader {
			continue
		}
		online := !r.Offline && r.Active > 0 && r.Active < int64(heardWithin)
		h.Peers = append(h.Peers, Peer{Name: r.Name, Online: online})
	}
	return nil
}

// lookAtStreams finds the event stream's leader and one stream that has not
// caught up here, if there is any.
func (b *Broker) lookAtStreams(h *Health) (behind string, err error) {
	info, err := b.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return "", fmt.Errorf("health: %w", err)
	}
	if b.server.JetStreamIsStreamAssigned(accountNode, streamEvents) && !b.server.JetStreamIsStreamCurrent(accountNode, streamEvents) {
		behind = streamEvents // assigned, and perhaps not there yet
	}
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			if account.Name == accountNode && stream.Name == streamEvents && stream.Cluster != nil {
				h.EventsLeader = stream.Cluster.Leader
			}
			if behind == "" && !b.server.JetStreamIsStreamCurrent(account.Name, stream.Name) {
				behind = stream.Name
			}
		}
	}
	return behind, nil
}
