package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// meetEvery is the pause between two rounds of greetings.
	meetEvery = 250 * time.Millisecond
	// foundingIndex is where the log of a cluster that was formed by nodes that
	// met holds its founding, after the entry with which Raft begins.
	foundingIndex = 2
)

// form returns when this node belongs to a cluster or is about to be contacted
// by one. Nothing is kept of what is half done, so that a restart begins anew:
// a cluster exists when its founder has written that it does.
//
// There is one founder. Each node names, by Join, one set of nodes; it speaks
// of having met it only when it reached all of them; and the founder is the
// lowest of a set of which all speak.
func (c *Cluster) form(ctx context.Context) error {
	if c.belongs() {
		return c.elsewhere(ctx)
	}
	for last := ""; ; {
		done, note, err := c.round(ctx)
		if done || err != nil {
			return err
		}
		if note != last {
			c.cfg.Logger.Info("this node belongs to no cluster yet", "node", c.cfg.Name, "waits_for", note)
			last = note
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s belongs to no cluster yet (%s): look whether --join names the right addresses and all nodes run: %w", c.cfg.Name, note, context.Cause(ctx))
		case <-time.After(meetEvery):
		}
	}
}

// encounter is what came of greeting one address.
type encounter struct {
	addr   string
	answer answer
	err    error
}

func (c *Cluster) greetAll(ctx context.Context) []encounter {
	all := make([]encounter, len(c.cfg.Join))
	var each sync.WaitGroup
	for i, addr := range c.cfg.Join {
		each.Go(func() {
			a, err := c.ask(ctx, addr, question{Ask: askHello})
			all[i] = encounter{addr, a, err}
		})
	}
	each.Wait()
	return all
}

// round greets all once and does what follows from it. note says, for a person,
// what is waited for.
func (c *Cluster) round(ctx context.Context) (done bool, note string, err error) {
	all := c.greetAll(ctx)
	if c.belongs() {
		return true, "", nil
	}
	var members, cluster []encounter
	unreached := ""
	for _, e := range all {
		switch {
		case errors.Is(e.err, ErrMixed), errors.Is(e.err, ErrRefused):
			return false, "", e.err
		case e.err != nil:
			unreached = fmt.Sprintf("%s: %v", e.addr, failure(e.err))
		case c.isSelf(e.answer.Self):
		case e.answer.Self.Name == c.cfg.Name:
			return false, "", fmt.Errorf("two nodes are called %s, this one and the one at %s: give one of them another name", c.cfg.Name, e.addr)
		case e.answer.Self.Instance == c.cfg.Self.Instance:
			return false, "", fmt.Errorf("node %s at %s has a copy of this node's data directory: give one of them an empty one", e.answer.Self.Name, e.addr)
		case e.answer.Belongs:
			cluster = append(cluster, e)
		default:
			members = append(members, e)
		}
	}
	if len(cluster) > 0 {
		c.met.Store(&[]string{})
		return c.askToJoin(ctx, cluster)
	}
	if unreached != "" {
		c.met.Store(&[]string{})
		return false, "not reached: " + unreached, nil
	}
	return c.agree(members)
}

// failure is err without the port that the system drew for this try, so that the
// same one reads the same again.
func failure(err error) error {
	if network := new(net.OpError); errors.As(err, &network) {
		return network.Err
	}
	return err
}

func (c *Cluster) isSelf(m Member) bool {
	return m.Name == c.cfg.Name && m.Instance == c.cfg.Self.Instance && m.Raft == c.Addr()
}

// agree forms a cluster if all have met the same nodes and this is the lowest.
func (c *Cluster) agree(others []encounter) (done bool, note string, err error) {
	founders := map[string]Member{c.cfg.Name: c.self()}
	lowest := c.cfg.Name
	for _, e := range others {
		m := e.answer.Self
		if known, ok := founders[m.Name]; ok && known.Instance != m.Instance {
			return false, fmt.Sprintf("two nodes are called %s, at %s and %s: give one of them another name", m.Name, known.Raft, m.Raft), nil
		}
		founders[m.Name] = m
		lowest = min(lowest, m.Name)
	}
	var set, bring []string
	for _, m := range founders {
		set = append(set, m.Name+" "+m.Instance)
		if m.Brings != "" {
			bring = append(bring, m.Name)
		}
	}
	if len(bring) > 1 {
		slices.Sort(bring)
		return false, "", fmt.Errorf("nodes %s all bring an event stream, and a cluster has one: run belfry cluster init on one of them and start the others with empty data directories", strings.Join(bring, ", "))
	}
	slices.Sort(set)
	c.met.Store(&set)
	if c.cfg.Expect == 0 {
		return false, "nobody of --join belongs to a cluster", nil
	}
	if len(founders) != c.cfg.Expect {
		return false, fmt.Sprintf("%d nodes form the cluster and --join names %d with this one: they must be the same", c.cfg.Expect, len(founders)), nil
	}
	for _, e := range others {
		if !slices.Equal(e.answer.Met, set) {
			return false, fmt.Sprintf("node %s has met %s", e.answer.Self.Name, strings.Join(e.answer.Met, ", ")), nil
		}
	}
	if lowest != c.cfg.Name {
		return false, "all have met, node " + lowest + " is to form the cluster", nil
	}
	done, err = c.found(founders)
	return done, "", err
}

// askToJoin asks the leader of the cluster that others belong to.
func (c *Cluster) askToJoin(ctx context.Context, cluster []encounter) (done bool, note string, err error) {
	id := ""
	for _, e := range cluster {
		if id != "" && e.answer.Cluster != "" && e.answer.Cluster != id {
			return false, "", fmt.Errorf("--join names nodes of two clusters, %s and %s: name those of one", id, e.answer.Cluster)
		}
		id = max(id, e.answer.Cluster)
	}
	for _, e := range cluster {
		addr := e.addr
		if e.answer.Leader != "" {
			addr = e.answer.Leader
		}
		a, err := c.ask(ctx, addr, question{Ask: askJoin})
		switch {
		case errors.Is(err, ErrMixed):
			return false, "", err
		case err != nil:
			note = fmt.Sprintf("asked %s to be let in: %v", addr, failure(err))
		case a.OK:
			return true, "", nil
		case a.Refused != "":
			return false, "", fmt.Errorf("%w: %s", ErrRefused, a.Refused)
		default:
			note = "the cluster at " + addr + " has no leader"
		}
	}
	return false, note, nil
}

// elsewhere says when this node is a cluster of its own and was told to join
// another: it would run alone, and nobody would notice.
func (c *Cluster) elsewhere(ctx context.Context) error {
	servers := c.servers()
	if len(servers) != 1 || string(servers[0].ID) != c.cfg.Name {
		return nil
	}
	for _, e := range c.greetAll(ctx) {
		if e.err != nil || !e.answer.Belongs || c.isSelf(e.answer.Self) || c.id() != "" && c.id() == e.answer.Cluster {
			continue
		}
		return fmt.Errorf("%w: %s", ErrRefused, ofAnother(c.cfg.Name))
	}
	return nil
}

func ofAnother(name string) string {
	return fmt.Sprintf("node %s belongs to another cluster, and two cannot be made one: start it with an empty data directory", name)
}

// found forms a cluster of the founders, all with a vote. The cluster's id and
// its members stand in the log from the beginning, so that no founder can come
// back with an empty disk and be taken for what it was.
func (c *Cluster) found(founders map[string]Member) (done bool, err error) {
	founding := found{ID: rand.Text()}
	var group raft.Configuration
	for _, m := range founders {
		founding.Members = append(founding.Members, m)
	}
	slices.SortFunc(founding.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range founding.Members {
		group.Servers = append(group.Servers, raft.Server{ID: raft.ServerID(m.Name), Address: raft.ServerAddress(m.Raft)})
	}
	data, err := encode(founding)
	if err != nil {
		return false, err
	}
	c.forming.Lock()
	defer c.forming.Unlock()
	if err := c.raft.Shutdown().Error(); err != nil {
		return false, err
	}
	if err := forgetHalfBootstrap(c.store); err != nil {
		return false, err
	}
	err = raft.BootstrapCluster(c.raftConfig, foundingStore{c.store, data}, c.store, c.snapshots, c.transport, group)
	if last, lastErr := c.store.LastIndex(); errors.Is(err, raft.ErrCantBootstrap) && lastErr == nil && last > 0 {
		err = nil // another cluster was faster
	}
	if err != nil {
		return false, fmt.Errorf("form a new cluster in %s: %w; if it never belonged to one, empty it", c.cfg.Dir, err)
	}
	if err := c.startRaft(); err != nil {
		return false, err
	}
	c.cfg.Logger.Info("a cluster was formed", "node", c.cfg.Name, "cluster", c.id(), "members", len(group.Servers))
	c.founded = true
	return true, nil
}

// foundingStore writes the founding together with Raft's first entry.
type foundingStore struct {
	raft.LogStore
	founding []byte
}

// StoreLog implements raft.LogStore.
func (s foundingStore) StoreLog(first *raft.Log) error {
	return s.StoreLogs([]*raft.Log{first, {Index: foundingIndex, Term: first.Term, Type: raft.LogCommand, Data: s.founding}})
}

// founding is what the log says of how the cluster was formed, agreed on or not;
// it is empty where it was not formed so, and when the log begins later.
func (c *Cluster) founding() found {
	var entry raft.Log
	if err := c.store.GetLog(foundingIndex, &entry); err != nil || entry.Type != raft.LogCommand {
		return found{}
	}
	what, err := decode(entry.Data)
	if err != nil {
		return found{}
	}
	founding, _ := what.(found)
	return founding
}
