package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// peerTimeout bounds one question about a server; while the servers elect who
	// leads them nobody answers.
	peerTimeout = 2 * time.Second
	// peerIDBytes and peerDigits are of a server's id among the servers: what the
	// server makes of its name, and the only way to name one that is gone.
	peerIDBytes = 8
	peerDigits  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// peerID is the id of the server of this name.
func peerID(name string) string {
	sum := sha256.Sum256([]byte(name))
	id := sum[:peerIDBytes]
	for i := range id {
		id[i] = peerDigits[int(id[i])%len(peerDigits)]
	}
	return string(id)
}

// Evacuate has the servers move what the named one holds of their streams to
// others, and returns when that has begun: a replica goes when another has taken
// its place. It may be repeated, and the server may be dead.
func (b *Broker) Evacuate(ctx context.Context, name string) error {
	return b.aboutPeer(ctx, server.JSApiEvacuateServer, name)
}

// RemovePeer has the servers go on without the named one, for good: it counts no
// more when they elect and agree, and if it lives its streams are shut. Evacuate
// it first. It may be repeated, and the server may be dead.
func (b *Broker) RemovePeer(ctx context.Context, name string) error {
	if leader, err := b.MetaLeader(); err == nil && leader == name {
		if err := b.ask(ctx, server.JSApiLeaderStepDown, nil); err != nil {
			return fmt.Errorf("have another nats server lead than %s: %w", name, err)
		}
	}
	return b.aboutPeer(ctx, server.JSApiRemoveServer, name)
}

// HasPeer says whether the servers count the named one among them.
func (b *Broker) HasPeer(name string) bool {
	info, err := b.server.Jsz(nil)
	if err != nil || info.Meta == nil {
		return false
	}
	for _, peer := range info.Meta.Replicas {
		if peer.Peer == peerID(name) {
			return true
		}
	}
	return info.Meta.Leader == name
}

// aboutPeer asks who leads the servers to do something about one of them. That
// it is none of them is as good.
func (b *Broker) aboutPeer(ctx context.Context, subject, name string) error {
	body, err := json.Marshal(map[string]string{"peer_id": peerID(name)})
	if err != nil {
		return err
	}
	refused := new(server.ApiError)
	if err := b.ask(ctx, subject, body); errors.As(err, &refused) && refused.ErrCode == uint16(server.JSClusterServerNotMemberErr) {
		return nil
	} else if err != nil {
		return fmt.Errorf("ask the nats servers about %s: %w", name, err)
	}
	return nil
}

// ask puts a question to the servers, as their system.
func (b *Broker) ask(ctx context.Context, subject string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	system, err := b.connect("system", b.ids.system)
	if err != nil {
		return err
	}
	defer system.Close()
	reply, err := system.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	var answer server.ApiResponse
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}
