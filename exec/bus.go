package exec

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Bus is what an Executor needs of its connection. A NATS connection is one, by
// New; simulation has its own. All methods are safe for concurrent use.
type Bus interface {
	// Publish sends without waiting.
	Publish(subject string, data []byte) error
	// Listen puts the messages of a subject into a channel, in the order of
	// their arrival among all that go there. An answer to one goes to its Reply.
	Listen(subject string, into chan *nats.Msg) (stop func(), err error)
	// IsConnected says whether what is published goes out now.
	IsConnected() bool
	// StatusChanged gives a channel that has a value each time the connection
	// comes to one of the states; RemoveStatusListener closes it.
	StatusChanged(states ...nats.Status) chan nats.Status
	RemoveStatusListener(listener chan nats.Status)
	// FlushWithContext returns when all that was published has arrived.
	FlushWithContext(ctx context.Context) error
}

// natsBus is a NATS connection.
type natsBus struct{ *nats.Conn }

// Listen implements Bus.
func (b natsBus) Listen(subject string, into chan *nats.Msg) (func(), error) {
	sub, err := b.ChanSubscribe(subject, into)
	if err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, nil // it fails only on a closed connection
}
