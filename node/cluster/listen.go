package cluster

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/hashicorp/raft"
)

const (
	// connectionsMax kept open to each other member.
	connectionsMax = 3
	// heartbeatsMissed bounds one message between members, in heartbeat
	// timeouts: who stands still is noticed after so many.
	heartbeatsMissed = 3
)

// listen opens the port, or, where this node has none, the transport.
func (c *Cluster) listen() error {
	switch {
	case c.cfg.Transport != nil:
		c.transport = c.cfg.Transport
		return nil
	case c.cfg.DontListen:
		addr, transport := raft.NewInmemTransport(raft.ServerAddress(c.cfg.Name))
		transport.Connect(addr, transport) // it elects itself by a message
		c.transport = transport
		return nil
	}
	addr, call, err := c.cfg.addresses()
	if err != nil {
		return err
	}
	listener := c.cfg.listener
	if listener == nil {
		listener, err = net.Listen("tcp", addr)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("raft address %s is taken: stop the other program or choose another with --raft-addr", addr)
	case err != nil:
		return fmt.Errorf("raft address %s cannot be listened on: %w; choose another with --raft-addr", addr, err)
	}
	host, _, hostErr := net.SplitHostPort(call)
	_, number, portErr := net.SplitHostPort(listener.Addr().String())
	if err := errors.Join(hostErr, portErr); err != nil {
		return errors.Join(err, listener.Close())
	}
	c.port = openPort(listener, net.JoinHostPort(host, number), c.cfg.Logger)
	return nil
}

// openTransport gives Raft a transport on the port. Raft closes it, and a Raft
// that is started anew needs a new one.
func (c *Cluster) openTransport() raft.Transport {
	if c.port != nil {
		c.transport = newPatient(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Logger: raftLogger(c.cfg.Logger), Stream: &layer{port: c.port, greet: c.greet, closed: make(chan struct{})},
			MaxPool: connectionsMax, Timeout: heartbeatsMissed * c.cfg.HeartbeatTimeout,
		}), c.office)
	}
	return c.transport
}

func closeTransport(transport raft.Transport) error {
	if closer, ok := transport.(raft.WithClose); ok {
		return closer.Close()
	}
	return nil
}
