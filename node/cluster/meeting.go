package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// wireVersion of questions, answers and greetings. Nodes of two versions do
	// not talk; fields may be added within one.
	wireVersion = 1
	// meetingBytesMax bounds a question, and an answer.
	meetingBytesMax = 64 << 10
	// meetingTimeout bounds a question with its answer, and answerTimeout what
	// is done for it, so that an answer is still in time.
	meetingTimeout = 2 * time.Second
	answerTimeout  = 1500 * time.Millisecond
)

// What is asked.
const (
	askHello = "hello" // who are you, and do you belong to a cluster?
	askJoin  = "join"  // let me in, or take my new address
	askApply = "apply" // do this command for me
)

// question is what one node asks another.
type question struct {
	V    int    `json:"v"`
	Ask  string `json:"ask"`
	Self Member `json:"self"` // who asks
	// Speaks is of the asker.
	Speaks Speaks `json:"speaks"`
	// Cluster is the id of the cluster that the asker belongs to, if it does
	// and knows it.
	Cluster string          `json:"cluster,omitempty"`
	Belongs bool            `json:"belongs"`
	Command json.RawMessage `json:"command,omitempty"` // to apply
}

// answer is what it is told.
type answer struct {
	V       int    `json:"v"`
	Self    Member `json:"self"` // who answers
	Speaks  Speaks `json:"speaks"`
	Cluster string `json:"cluster,omitempty"`
	Belongs bool   `json:"belongs"`
	// Met are those that belong to no cluster and were reached when it last
	// looked, itself included, as name and instance, sorted.
	Met []string `json:"met,omitempty"`
	// Leader is the raft address of the leader; "" knows none.
	Leader string `json:"leader,omitempty"`
	// Applied is the last entry of Raft's log that its state holds.
	Applied uint64 `json:"applied,omitempty"`

	OK bool `json:"ok"`
	// Refused says why not, now and later; "" with OK false asks for patience.
	Refused string `json:"refused,omitempty"`
	// Fault says which error a command came to.
	Fault  string `json:"fault,omitempty"`
	Stream Stream `json:"stream,omitzero"`
	Secret Secret `json:"secret,omitempty"`
}

// ErrMixed says that this node and another are of releases that do not go together.
var ErrMixed = errors.New("nodes of versions that do not go together")

// errNotSent: the question reached nobody.
var errNotSent = errors.New("not reached")

func mixed(theirs int) string {
	return fmt.Sprintf("one speaks version %d of the cluster's wire, the other %d: run the same release of Belfry on both", theirs, wireVersion)
}

// ask puts a question to the node at addr. An error that wraps errNotSent says
// that it was not heard, and ErrRefused one that is a node alone.
func (c *Cluster) ask(ctx context.Context, addr string, q question) (answer, error) {
	q.V, q.Self, q.Speaks, q.Cluster, q.Belongs = wireVersion, c.self(), c.speaks(), c.id(), c.belongs()
	data, err := json.Marshal(q)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if len(data) >= meetingBytesMax {
		return answer{}, fmt.Errorf("%w: %w: a command of %d bytes is too large, %d are allowed", errNotSent, ErrRefused, len(data), meetingBytesMax)
	}
	ctx, cancel := context.WithTimeout(ctx, meetingTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNotSent, err)
	}
	defer conn.Close() //nolint:errcheck // the answer was read or is not needed
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write(append([]byte{meetingByte}, data...)); err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", addr, err)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(conn, meetingBytesMax)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("ask %s: no answer: %w", addr, err)
	}
	if a.V != wireVersion {
		return answer{}, fmt.Errorf("%w: this node and the one at %s: %s", ErrMixed, addr, mixed(a.V))
	}
	if isAlone(a.Self) {
		return answer{}, fmt.Errorf("%w: %s", ErrRefused, alone(a.Self))
	}
	if why := c.apart(a.Self, a.Speaks); why != "" {
		return answer{}, fmt.Errorf("%w: %s", ErrMixed, why)
	}
	return a, nil
}

// meet answers a question.
func (c *Cluster) meet(q question) answer {
	c.forming.RLock()
	defer c.forming.RUnlock()
	a := answer{V: wireVersion, Self: c.self(), Speaks: c.speaks(), Cluster: c.id(), Belongs: c.belongs(), Met: *c.met.Load()}
	if q.V != wireVersion {
		a.Refused = mixed(q.V)
		return a
	}
	if isAlone(a.Self) {
		a.Refused = alone(a.Self)
		return a
	}
	if a.Refused = c.apart(q.Self, q.Speaks); a.Refused != "" {
		return a
	}
	leader, _ := c.raft.LeaderWithID()
	a.Leader = string(leader)
	a.Applied = c.raft.AppliedIndex()
	ctx, cancel := context.WithTimeout(c.life, answerTimeout)
	defer cancel()
	switch q.Ask {
	case askHello:
		a.OK = true
	case askJoin:
		a.OK, a.Refused = c.admit(ctx, q)
	case askApply:
		c.applyFor(ctx, q, &a)
	default:
		a.Refused = fmt.Sprintf("this node does not know the question %q: update it", q.Ask)
	}
	return a
}

// isAlone tells whether m is a node that is no cluster's, as belfry up is: it
// does not say which data directory it has. It lets nobody in and does nobody's
// commands, though it has a log of Raft.
func isAlone(m Member) bool { return m.Instance == "" }

func alone(m Member) string {
	return fmt.Sprintf("node %s at %s is a node alone, as belfry up starts it, and nobody can join it: stop it and make what it has a cluster's with belfry cluster init", m.Name, m.Raft)
}

// takesRaft says why Raft's messages of whoever greets so are not for this node.
// A node without a log takes them only from who knows its data directory: one
// that lost its disk would give its vote, or its word for an entry, twice. A node
// alone takes none but its own, by which it elects itself.
func (c *Cluster) takesRaft(g greeting) error {
	c.forming.RLock()
	defer c.forming.RUnlock()
	ours := c.id()
	switch {
	case g.V != wireVersion:
		return fmt.Errorf("%w: %s", ErrMixed, mixed(g.V))
	case c.apart(Member{Name: g.From}, g.Speaks) != "":
		return fmt.Errorf("%w: %s", ErrMixed, c.apart(Member{Name: g.From}, g.Speaks))
	case isAlone(c.self()):
		if g.Instance != c.own {
			return errors.New("this node is alone and follows nobody")
		}
	case g.Cluster != "" && ours != "" && g.Cluster != ours:
		return fmt.Errorf("it is of cluster %s, this node of %s", g.Cluster, ours)
	case g.To != "" && g.To != c.cfg.Name:
		return fmt.Errorf("it looks for node %s", g.To)
	case g.Instance != "" && g.Instance != c.cfg.Self.Instance:
		return fmt.Errorf("it looks for node %s with another data directory", g.To)
	case g.Instance == "" && c.cfg.Self.Instance != "" && !c.belongs():
		return errors.New("it does not know this node's data directory")
	}
	return nil
}

// greet is the greeting for the node at addr.
func (c *Cluster) greet(addr string) greeting {
	g := greeting{V: wireVersion, From: c.cfg.Name, Speaks: c.speaks(), Cluster: c.id()}
	if isAlone(c.self()) {
		if addr == c.Addr() {
			g.Instance = c.own
		}
		return g
	}
	state := c.fsm.State()
	members := state.Members
	if state.ID == "" {
		members = withFounders(members, c.founding().Members)
	}
	for _, m := range members {
		if m.Raft == addr {
			g.To, g.Instance = m.Name, m.Instance
		}
	}
	return g
}

// withFounders adds to the members those of a founding that is not agreed on yet.
func withFounders(members map[string]Member, founders []Member) map[string]Member {
	all := make(map[string]Member)
	for _, m := range founders {
		all[m.Name] = m
	}
	for name, m := range members {
		all[name] = m
	}
	return all
}

// self is what the others are to know of this node.
func (c *Cluster) self() Member {
	m := c.cfg.Self
	m.Name, m.Raft = c.cfg.Name, c.Addr()
	return m
}

// belongs tells whether this node is, or was, part of a cluster.
func (c *Cluster) belongs() bool { return c.raft.LastIndex() > 0 }

// id of the cluster that this node belongs to; "" is none, or not known.
func (c *Cluster) id() string {
	if id := c.fsm.id(); id != "" {
		return id
	}
	return c.founding().ID
}
