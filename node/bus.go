package node

import (
	"context"

	"github.com/nats-io/nats.go"
)

// bus carries the wire of executors over NATS.
type bus struct{ nc *nats.Conn }

// Publish implements scheduler.Bus.
func (b bus) Publish(subject string, body []byte) error { return b.nc.Publish(subject, body) }

// Request implements scheduler.Bus.
func (b bus) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	m, err := b.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// Subscribe implements scheduler.Bus.
func (b bus) Subscribe(subject string, handle func(string, []byte)) (func(), error) {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { handle(m.Subject, m.Data) })
	if err != nil {
		return nil, err
	}
	// Reports that are dropped come again, but only after a while: a burst of
	// them is better held here.
	if err := sub.SetPendingLimits(-1, pendingBytesMax); err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, b.nc.Flush()
}

// Listen is service.Config.Listen.
func (b bus) Listen(subject string, handle func(*nats.Msg)) (func(), error) {
	sub, err := b.nc.Subscribe(subject, handle)
	if err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, b.nc.Flush()
}

// pendingBytesMax bounds what executors may have said and we not yet heard.
const pendingBytesMax = 256 << 20
