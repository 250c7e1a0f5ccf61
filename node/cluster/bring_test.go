package cluster

import (
	"strings"
	"testing"
)

// brings is the config of a node that brings a stream.
func (s *site) brings(name, stream string) Config {
	cfg := s.config(name)
	cfg.Self.Brings = stream
	return cfg
}

// Whoever asks first what the stream is, in a cluster to which a founder brings
// one, is told that one. A node that brings another is not let in; the one that
// brought it is, again.
func TestAFounderBringsTheStream(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	started := make(chan error, 1)
	go func() {
		_, err := s.try(s.brings("n2", "old"))
		started <- err
	}()
	s.up(0, "n1", "n3")
	no(t, <-started)
	s.agrees("n1", "n2", "n3")
	want := Stream{ID: "old", Phase: PhaseCreating, From: "n2"}
	for _, c := range s.all() {
		if got, err := c.IntendStream(t.Context(), "of-"+c.cfg.Name); err != nil || got != want {
			t.Errorf("%s is told that the stream is %+v, %v", c.cfg.Name, got, err)
		}
	}
	s.place("n4")
	s.refusedWith(s.brings("n4", "another"), "brings an event stream, and the nodes of --join form a cluster already")
	if _, member := s.leader().State().Members["n4"]; member {
		t.Error("who was refused is a member")
	}
	s.kill("n2")
	_, err := s.try(s.brings("n2", "old"))
	no(t, err)
	s.agrees("n1", "n2", "n3")
}

// Two nodes that each bring a stream form no cluster.
func TestTwoStreamsFormNoCluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	failed := make(chan error, 3)
	for name, stream := range map[string]string{"n1": "a", "n2": "b", "n3": ""} {
		go func() {
			_, err := s.try(s.brings(name, stream))
			failed <- err
		}()
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "nodes n1, n2 all bring an event stream") {
		t.Errorf("a cluster of two streams was formed: %v", err)
	}
	for _, c := range s.all() {
		if c.belongs() {
			t.Errorf("%s belongs to a cluster", c.cfg.Name)
		}
	}
}
