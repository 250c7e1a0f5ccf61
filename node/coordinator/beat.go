package coordinator

import (
	"time"

	"github.com/go-json-experiment/json"
)

// aliveSubject is where nodes give signs of life.
func (c Config) aliveSubject() string { return c.Prefix + ".node.alive" }

// beat is a sign of life.
type beat struct {
	Node    string `json:"node"`
	Process string `json:"process"`
	// Leaving says that the node gives everything away and will stop.
	Leaving bool `json:"leaving"`
	// Ready says that it may be given partitions; one that leaves is not.
	Ready bool `json:"ready"`
	// Wall is the sender's time of day, in nanoseconds since 1970.
	Wall int64 `json:"wall"`
	// Age is how long the sender's process ran when it sent this, in nanoseconds
	// of its monotonic time: by it, it knows when it sent what it hears.
	Age int64 `json:"age"`
}

// beatNow gives a sign of life. They go out in the order in which they came to be:
// after one that says that the node leaves, none says that it does not.
func (c *Coordinator) beatNow() {
	c.beating <- struct{}{}
	defer func() { <-c.beating }()
	c.mu.Lock()
	b := beat{
		Node: c.cfg.Node, Process: c.cfg.Process, Leaving: c.leaving,
		Wall: c.cfg.Clock().UnixNano(), Age: int64(time.Since(c.born)),
	}
	b.Ready = !c.leaving && c.clocks.well()
	c.mu.Unlock()
	b.Ready = b.Ready && c.cfg.Ready() == nil
	body, err := json.Marshal(b)
	if err == nil {
		err = c.cfg.Bus.Publish(c.cfg.aliveSubject(), body)
	}
	if err != nil {
		c.cfg.Logger.Warn("a sign of life could not be sent", "node", c.cfg.Node, "error", err)
	}
}

// hear takes a sign of life, of our own, too.
func (c *Coordinator) hear(_ string, body []byte) {
	var b beat
	if json.Unmarshal(body, &b) != nil || b.Node == "" {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case b.Node != c.cfg.Node:
		c.ears.heard(b, now)
		c.clocks.sample(b.Node, time.Duration(b.Wall-c.cfg.Clock().UnixNano()), now)
	case b.Process == c.cfg.Process:
		c.ears.echo(b, c.born.Add(time.Duration(b.Age)), now)
	}
}
