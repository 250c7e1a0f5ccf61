package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// Members are the nodes of one cluster, as processes on this machine.
type Members struct {
	t     testing.TB
	nats  string // where they meet, if not at servers of their own
	Nodes []*Process
	// Network is between them after Connect; nil: they reach each other.
	Network *Network
}

// NewMembers prepares a cluster of nodes n1, n2, …: the same flags but for names
// and addresses.
func NewMembers(t testing.TB, nodes int, args ...string) *Members {
	t.Helper()
	return newMembers(t, "", nodes, args...)
}

// NewMembersOn prepares a cluster of nodes that meet at a NATS of others.
func NewMembersOn(t testing.TB, url string, nodes int, args ...string) *Members {
	t.Helper()
	return newMembers(t, url, nodes, args...)
}

func newMembers(t testing.TB, nats string, nodes int, args ...string) *Members {
	t.Helper()
	Binary(t)
	m := &Members{t: t, nats: nats}
	for range nodes {
		m.Add(args...)
	}
	var join []string
	for _, p := range m.Nodes {
		join = append(join, p.Raft)
	}
	if nodes == 1 {
		m.Nodes[0].line = append(m.Nodes[0].line, "--bootstrap-expect", "1")
		return m
	}
	for _, p := range m.Nodes {
		p.line = append(p.line, "--bootstrap-expect", fmt.Sprint(nodes), "--join", strings.Join(join, ","))
	}
	return m
}

// Add prepares one more node, which is told of no other yet.
func (m *Members) Add(args ...string) *Process {
	m.t.Helper()
	name := fmt.Sprint("n", len(m.Nodes)+1)
	p := &Process{t: m.t, Name: name, Dir: filepath.Join(m.t.TempDir(), name), Args: args}
	addrs := freeAddrs(m.t, 4)
	p.URL, p.HTTP, p.Raft = "nats://"+addrs[0], addrs[1], addrs[2]
	p.line = []string{
		"node", "--name", name, "--data", p.Dir, "--sandbox", "process", // functions of tests keep a journal outside
		"--http-addr", addrs[1], "--raft-addr", addrs[2],
	}
	if m.nats == "" {
		p.line = append(p.line, "--nats-addr", addrs[0], "--cluster-addr", addrs[3])
		p.routes = addrs[3]
	} else {
		p.URL = m.nats
		p.line = append(p.line, "--nats", m.nats)
	}
	m.Nodes = append(m.Nodes, p)
	return p
}

// AddTo prepares one more node that joins the cluster which those form.
func (m *Members) AddTo(args ...string) *Process {
	m.t.Helper()
	var join []string
	for _, p := range m.Nodes {
		join = append(join, p.Raft)
	}
	p := m.Add(args...)
	p.line = append(p.line, "--join", strings.Join(join, ","))
	return p
}

// On has a node that was not started yet keep its data on a disk.
func (p *Process) On(d *Disk) {
	p.Dir = filepath.Join(d.Dir, p.Name)
	p.line[slices.Index(p.line, "--data")+1] = p.Dir
}

// Become has a member be what the node alone becomes, on its directory: by belfry
// cluster init until AsNode is called.
func (p *Process) Become(alone *Process) {
	line := p.line
	if line[0] == "node" {
		line = append([]string{"cluster", "init", "--from", p.Dir}, without(line, "--data")[1:]...)
	}
	p.Dir = alone.Dir
	p.line = slices.Clone(line)
	p.line[3] = p.Dir
}

// AsNode has a node that was made by Become be started by belfry node.
func (p *Process) AsNode() {
	p.line = append([]string{"node", "--data", p.Dir}, without(p.line, "--from")[2:]...)
}

// without is a line without a flag and its value.
func without(line []string, flag string) []string {
	at := slices.Index(line, flag)
	return slices.Delete(slices.Clone(line), at, at+2)
}

// Start starts all nodes at once and returns when each is ready.
func (m *Members) Start() {
	m.t.Helper()
	m.StartOf(m.Nodes...)
}

// StartOf starts some of the nodes at once, and returns when each is ready.
func (m *Members) StartOf(nodes ...*Process) {
	m.t.Helper()
	failed := make(chan error, len(nodes))
	for _, p := range nodes {
		go func() { failed <- p.Try() }()
	}
	var errs []error
	for range nodes { // all of them: a test that ends kills each
		errs = append(errs, <-failed)
	}
	if err := errors.Join(errs...); err != nil {
		m.t.Fatal(err)
	}
}

// URL is the addresses of all nodes, as a program is given them.
func (m *Members) URL() string {
	var urls []string
	for k, p := range m.Nodes {
		if m.Network != nil {
			urls = append(urls, called(k, p.URL))
		} else {
			urls = append(urls, p.URL)
		}
	}
	return strings.Join(urls, ",")
}

// Executor prepares an executor that knows all nodes, as a process of its own.
// The nodes must have run: its credentials are those of the first.
func (m *Members) Executor(name string, args ...string) *Process {
	return &Process{
		t: m.t, Dir: m.Nodes[0].Dir, Args: args,
		line: []string{"exec", "--nats", m.URL(), "--data", m.Nodes[0].Dir, "--name", name, "--sandbox", "process"},
	}
}

// Conn connects as a program does that knows the addresses of all nodes.
func (m *Members) Conn() *nats.Conn {
	m.t.Helper()
	nc, err := nats.Connect(m.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(nc.Close)
	return nc
}

// Client asks as a user, at whatever node answers.
func (m *Members) Client(user string) *client.Client {
	m.t.Helper()
	return client.New(m.Conn(), user)
}

// Status is what a node says of the cluster.
func (p *Process) Status(ctx context.Context) (api.ClusterStatus, error) {
	return p.Client(api.Admin).ClusterStatus(ctx)
}
