package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// copiesTimeout is how long the servers have to say what they hold.
const copiesTimeout = time.Second

// Copy is what one server holds of a stream.
type Copy struct {
	Messages uint64
	LastSeq  uint64
}

// Copies asks all servers what they hold of a stream, each of its own copy, and
// returns what was said in time, by the names of the servers. What the leader of a
// stream says of the others is another thing: how much of Raft's log they have,
// which is not all of a stream that was restored.
func (b *Broker) Copies(ctx context.Context, stream string) (map[string]Copy, error) {
	ctx, cancel := context.WithTimeout(ctx, copiesTimeout)
	defer cancel()
	system, err := b.connect("system", b.ids.system)
	if err != nil {
		return nil, err
	}
	defer system.Close()
	answers, err := system.SubscribeSync(system.NewInbox())
	if err != nil {
		return nil, err
	}
	question, err := json.Marshal(server.JSzOptions{Account: accountNode, Streams: true})
	if err == nil {
		err = system.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", answers.Subject, question)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the nats servers for their copies of %s: %w", stream, err)
	}
	copies := map[string]Copy{}
	for b.cfg.Cluster == nil || len(copies) < len(b.cfg.Cluster.Members) {
		m, err := answers.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			break // the others do not answer
		}
		if err != nil {
			return nil, fmt.Errorf("ask the nats servers for their copies of %s: %w", stream, err)
		}
		name, held, err := copyIn(m, stream)
		if err != nil {
			return nil, err
		}
		copies[name] = held
	}
	return copies, nil
}

// copyIn is what an answer says of a stream: nothing of one that is not there.
func copyIn(m *nats.Msg, stream string) (name string, held Copy, err error) {
	var answer struct {
		Server struct {
			Name string `json:"name"`
		} `json:"server"`
		Data server.JSInfo `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return "", held, fmt.Errorf("what a nats server says of its streams is not understood: %w", err)
	}
	for _, account := range answer.Data.AccountDetails {
		for _, detail := range account.Streams {
			if account.Name == accountNode && detail.Name == stream {
				held = Copy{Messages: detail.State.Msgs, LastSeq: detail.State.LastSeq}
			}
		}
	}
	return answer.Server.Name, held, nil
}
