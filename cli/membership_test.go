package cli

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/node/api"
)

func TestAFurtherNode(t *testing.T) {
	node := func(name, host string) api.NodeStatus {
		return api.NodeStatus{Name: name, NATS: "nats://" + host + ":4222", HTTP: host + ":8420", Raft: host + ":7420"}
	}
	far := []api.NodeStatus{node("n1", "10.0.0.1"), node("n2", "10.0.0.2"), node("n4", "10.0.0.4")}
	j, err := further(api.ClusterStatus{Nodes: far, Removed: []string{"n5"}})
	want := "belfry node --name n6 --data ./data/n6 --join 10.0.0.1:7420,10.0.0.2:7420,10.0.0.4:7420 --nats-addr THIS_MACHINE:4222 --http-addr THIS_MACHINE:8420 --raft-addr THIS_MACHINE:7420 --cluster-addr THIS_MACHINE:6222 --insecure"
	if err != nil || j.Command != want {
		t.Errorf("%q %v", j.Command, err)
	}
	near := []api.NodeStatus{node("ada", "127.0.0.1"), node("bob", "127.0.0.1"), node("cid", "127.0.0.1")}
	near[2].Role = api.RoleLeaving
	j, err = further(api.ClusterStatus{Nodes: near})
	if err != nil || !strings.Contains(j.Command, "--name n1 --data ./data/n1 --join 127.0.0.1:7420,127.0.0.1:7420 --nats-addr 127.0.0.1:42") || strings.Contains(j.Command, "--insecure") {
		t.Errorf("%q %v", j.Command, err)
	}
	near[0].NATS = "nats://10.0.0.9:4222,nats://10.0.0.8:4222"
	j, err = further(api.ClusterStatus{Nodes: near[:1], ExternalNATS: true})
	if err != nil || !strings.Contains(j.Command, "--join 127.0.0.1:7420 --nats nats://10.0.0.9:4222,nats://10.0.0.8:4222 --http-addr 127.0.0.1:84") || strings.Contains(j.Command, "--cluster-addr") {
		t.Errorf("%q %v", j.Command, err)
	}
	if _, err := further(api.ClusterStatus{Nodes: near[:1]}); err == nil {
		t.Error("another node joins one alone")
	}
}
