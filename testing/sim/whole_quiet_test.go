package sim_test

import (
	"reflect"
	"sync/atomic"
	"time"
	"unsafe" // also for go:linkname

	"github.com/belfryhq/belfry/node"
	"github.com/belfryhq/belfry/node/broker"
)

// The NATS server wakes each second, each 10 s and each 30 s for statistics that
// nobody here reads, and no setting changes that. Each wake in a bubble costs
// some microseconds, so a year of them costs minutes. Here they come as seldom as
// what Belfry does while idle. Nothing else of the server is touched.

//go:linkname wholeStatsEvery github.com/nats-io/nats-server/v2/server.statsHBInterval
var wholeStatsEvery time.Duration

//go:linkname wholeEventsEvery github.com/nats-io/nats-server/v2/server.eventsHBInterval
var wholeEventsEvery time.Duration

// wholeQuietStats is for servers that start later.
func wholeQuietStats(every time.Duration) (undo func()) {
	stats, events := wholeStatsEvery, wholeEventsEvery
	wholeStatsEvery, wholeEventsEvery = every, every
	return func() { wholeStatsEvery, wholeEventsEvery = stats, events }
}

// wholeQuietServer is for the server of a node that runs: the lines of its log
// that must not come too often it forgets less often.
func wholeQuietServer(n *node.Node, every time.Duration) {
	server := wholeField[*broker.Broker](n, "broker").Server()
	wholeField[chan time.Duration](server, "rateLimitLoggingCh") <- every
}

// wholeField reads a field that is not exported.
func wholeField[F any](of any, name string) F {
	field := reflect.ValueOf(of).Elem().FieldByName(name)
	return *(*F)(unsafe.Pointer(field.UnsafeAddr()))
}

// All servers of a process share a clock that tells when they last looked at a
// message, with a goroutine and a channel of its own, which would freeze the
// bubble's clock if they belonged to it. ats.Register outside the bubble is the
// plain way, but then that clock tells real time, in which a year is an instant:
// no cache ever expires, and each looks every ten seconds whether it may. So the
// bubble moves the clock itself.

//go:linkname wholeAccessClock github.com/nats-io/nats-server/v2/server/ats.utime
var wholeAccessClock atomic.Int64

//go:linkname wholeAccessUsers github.com/nats-io/nats-server/v2/server/ats.refs
var wholeAccessUsers atomic.Int64

// wholeAccess moves the servers' clock at each interval until it is stopped.
func wholeAccess(every time.Duration) (stop func()) {
	wholeAccessUsers.Add(1) // so that no server starts the goroutine
	wholeAccessClock.Store(time.Now().UnixNano())
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				wholeAccessClock.Store(now.UnixNano())
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		wholeAccessUsers.Add(-1)
	}
}
