package broker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// stepDownWithin bounds StepDown. Without it the others need 4 to 9 s.
	stepDownWithin = 2 * time.Second
	// stepDownAgain is when a group that came back, or did not find another
	// leader, is handed over again.
	stepDownAgain = 500 * time.Millisecond
	// stepDownTick is how often StepDown looks.
	stepDownTick = 10 * time.Millisecond
	// notMember is the server's code for a peer that it does not know.
	notMember = 10044
)

// ErrNoPeer says that a server is no member of JetStream's meta group.
var ErrNoPeer = errors.New("no such server in the cluster")

// control is the Broker's own connection to the system account.
func (b *Broker) control() (*nats.Conn, error) {
	b.controlMu.Lock()
	defer b.controlMu.Unlock()
	if b.controlConn != nil {
		return b.controlConn, nil
	}
	conn, err := b.SystemConn("control")
	if err == nil {
		b.controlConn = conn
	}
	return conn, err
}

// RemovePeer takes a server out of JetStream's cluster for good: its replicas
// are made anew on others where there are any, and a majority is counted
// without it. The server itself must be down, and must not come back with what
// it has stored. It returns when a majority has agreed; ErrNoPeer if the server
// is no member. An error other than that means that the outcome is unknown:
// call it again.
func (b *Broker) RemovePeer(ctx context.Context, name string) error {
	// The leader knows names only of servers that it has met since its own
	// start; the id it knows of all.
	for _, body := range []string{fmt.Sprintf(`{"peer":%q}`, name), fmt.Sprintf(`{"peer":"","peer_id":%q}`, peerID(name))} {
		code, err := b.order(ctx, "$JS.API.SERVER.REMOVE", body)
		switch {
		case code == notMember:
			continue
		case err != nil:
			return fmt.Errorf("remove server %s from the cluster: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("remove server %s from the cluster: %w", name, ErrNoPeer)
}

// peerID is the id that nats-server gives a server by its name.
func peerID(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	const length = 8
	sum := sha256.Sum256([]byte(name))
	for i := range length {
		sum[i] = digits[int(sum[i])%len(digits)]
	}
	return string(sum[:length])
}

// order sends an order about the cluster. code is the server's, if it refused.
func (b *Broker) order(ctx context.Context, subject, body string) (code int, err error) {
	conn, err := b.control()
	if err != nil {
		return 0, err
	}
	reply, err := conn.RequestWithContext(ctx, subject, []byte(body))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, fmt.Errorf("the nats server's answer is not understood: %w", err)
	}
	if answer.Error != nil {
		return answer.Error.Code, fmt.Errorf("%s (%d)", answer.Error.Description, answer.Error.Code)
	}
	return 0, nil
}

// StepDown is for before a planned stop: it hands over all that this server
// leads, streams, consumers and the meta group, and returns when others do. It
// takes at most two seconds. After an error the server may be stopped all the
// same; the others then need some seconds more. Nothing keeps the server from
// being elected again: stop it soon. What has one replica stays where it is.
func (b *Broker) StepDown(ctx context.Context) error {
	if b.cfg.ClusterAddr == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepDownWithin)
	defer cancel()
	tick := time.NewTicker(stepDownTick)
	defer tick.Stop()
	var last time.Time
	for {
		led, settled := b.groups()
		if settled {
			return nil
		}
		if len(led) > 0 && time.Since(last) > stepDownAgain {
			last = time.Now()
			if err := b.handOver(ctx); err != nil {
				return fmt.Errorf("hand over what this server leads: %w", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if len(led) == 0 {
				return errors.New("what this server led has no leader yet: stop it all the same, the others need some seconds")
			}
			return fmt.Errorf("this server still leads %s: stop it all the same, the others need some seconds", strings.Join(led, ", "))
		}
	}
}

// groups are the Raft groups of JetStream that this server leads. settled says
// that there are none, and that all it is part of have another leader.
func (b *Broker) groups() (led []string, settled bool) {
	settled = true
	for _, account := range []string{accountSystem, accountNode} {
		all := b.server.Raftz(&server.RaftzOptions{AccountFilter: account})
		if all == nil {
			continue
		}
		for name, group := range (*all)[account] {
			switch {
			case group.State == server.Leader.String():
				led = append(led, name)
			case group.State != server.Closed.String() && group.Leader == "":
				settled = false
			}
		}
	}
	slices.Sort(led)
	return led, settled && len(led) == 0
}

// handOver lets others lead. The meta group comes last: without it the rest
// cannot be asked about.
func (b *Broker) handOver(ctx context.Context) error {
	info, err := b.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true})
	if err != nil {
		return err
	}
	for _, account := range info.AccountDetails {
		for _, stream := range account.Streams {
			for _, consumer := range stream.Consumer {
				if b.server.JetStreamIsConsumerLeader(account.Name, stream.Name, consumer.Name) {
					// What it fails by shows in groups.
					_ = b.server.JetStreamStepdownConsumer(account.Name, stream.Name, consumer.Name)
				}
			}
			if b.server.JetStreamIsStreamLeader(account.Name, stream.Name) {
				_ = b.server.JetStreamStepdownStream(account.Name, stream.Name)
			}
		}
	}
	if !b.server.JetStreamIsLeader() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepDownAgain)
	defer cancel()
	if _, err := b.order(ctx, "$JS.API.META.LEADER.STEPDOWN", ""); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
