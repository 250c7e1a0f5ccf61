package broker

import (
	"fmt"
	"time"
)

// What callers ask, and where it is sent at a server that has a service of its
// own. Permissions are looked at after that: whoever may ask for a user only, on
// belfry.api.<user>.>, may do so with a node's name behind, and for no other. The
// prefix stands before both.
const (
	subjectCalls = ".api.*.*.*"
	subjectLocal = ".api.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}."
)

// settle is how long after its end a mapping may still have told somebody where
// to deliver: a message is between the two for microseconds, and for as long as
// a busy machine leaves it there.
const settle = 100 * time.Millisecond

// ServeLocally has this node's service, on its ServiceConn, answer what callers
// ask at this server, on belfry.api.<user>.<entity>.<verb>.<name>. Else the
// server picks any of the cluster's services, also one that stands still or was
// killed a moment ago, and the caller waits for nothing.
//
// The service listens there before. A server alone has none to choose from: it
// stays as it is.
func (b *Broker) ServeLocally() error {
	if b.cfg.Cluster == nil {
		return nil
	}
	callers, err := b.server.LookupAccount(accountCallers)
	if err == nil {
		err = callers.AddMapping(b.cfg.Prefix+subjectCalls, b.cfg.Prefix+subjectLocal+b.cfg.Name)
	}
	if err != nil {
		return fmt.Errorf("have the calls at this nats server answered here: %w", err)
	}
	return nil
}

// StopServing ends ServeLocally: callers are answered by any service of the
// cluster. It returns when nothing more is sent to this node's alone, so that it
// may stop; what was sent is its to answer.
func (b *Broker) StopServing() {
	if b.cfg.Cluster == nil {
		return
	}
	if callers, err := b.server.LookupAccount(accountCallers); err == nil && callers.RemoveMapping(b.cfg.Prefix+subjectCalls) {
		time.Sleep(settle)
	}
}
