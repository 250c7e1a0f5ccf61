package cluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// roles finds who leads what, from outside.
type roles struct {
	t *testing.T
	m *cluster.Members
	c *client.Client
}

func newRoles(t *testing.T, m *cluster.Members) *roles {
	t.Helper()
	c, err := client.Connect(t.Context(), client.Config{URL: m.URL(), Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &roles{t, m, c}
}

// status is what the cluster says of itself, once it can.
func (r *roles) status() (status api.ClusterStatus) {
	r.t.Helper()
	until(r.t, "the status can be read", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
		defer cancel()
		var err error
		status, err = r.c.ClusterStatus(ctx)
		return err == nil && status.Leader != "" && status.Stream.Leader != "" && status.Stream.MetaLeader != ""
	})
	return status
}

func (r *roles) node(name string) *cluster.Process {
	r.t.Helper()
	for _, p := range r.m.Nodes {
		if p.Name == name {
			return p
		}
	}
	r.t.Fatalf("there is no node %q", name)
	return nil
}

// raft is the node that leads Raft, and so coordinates.
func (r *roles) raft() *cluster.Process { r.t.Helper(); return r.node(r.status().Leader) }

// stream is the node that leads the event stream.
func (r *roles) stream() *cluster.Process { r.t.Helper(); return r.node(r.status().Stream.Leader) }

// owner is a node that leads neither: it owns partitions, as all do.
func (r *roles) owner() *cluster.Process {
	r.t.Helper()
	status := r.status()
	for _, p := range r.m.Nodes {
		if p.Name != status.Leader && p.Name != status.Stream.Leader {
			return p
		}
	}
	r.t.Fatal("there is no node that leads nothing")
	return nil
}

// what a node leads, for the table.
func (r *roles) what(p *cluster.Process) string {
	r.t.Helper()
	var leads []string
	status := r.status()
	for _, role := range []struct{ leader, of string }{{status.Leader, "Raft"}, {status.Stream.Leader, "the stream"}, {status.Stream.MetaLeader, "JetStream"}} {
		if role.leader == p.Name {
			leads = append(leads, role.of)
		}
	}
	if leads == nil {
		return "leads nothing"
	}
	return "leads " + strings.Join(leads, " and ")
}

// settled returns when all nodes live and own their share.
func (r *roles) settled() {
	r.t.Helper()
	until(r.t, "all nodes live and own their share", func() bool {
		least, most := 64, 0
		for _, n := range r.status().Nodes {
			if !n.Alive {
				return false
			}
			least, most = min(least, n.Partitions), max(most, n.Partitions)
		}
		return most-least <= 1
	})
}
