package node

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// A member whose Raft store is gone does not come back as the member that it was.
func TestAMemberWithoutItsRaftStoreIsRefused(t *testing.T) {
	cfg := Config{
		DataDir: t.TempDir(), NoExec: true, RaftAddr: "127.0.0.1:1", NATSAddr: "127.0.0.1:2", HTTPAddr: "127.0.0.1:3",
		Cluster: &ClusterConfig{Name: "n1", Addr: "127.0.0.1:4", Join: []string{"127.0.0.1:1", "127.0.0.1:5"}}, Logger: slog.New(slog.DiscardHandler),
	}
	d, err := openDirectory(cfg.DataDir, identityOf("n1", true))
	if err == nil {
		err = errors.Join(d.remembersRaft(), d.noteMember(), os.Mkdir(d.join("raft"), 0o700), os.WriteFile(d.join("raft", "raft.db"), nil, 0o600), d.remembersRaft())
	}
	if err := errors.Join(err, d.close(), os.RemoveAll(d.join("raft"))); err != nil {
		t.Fatal(err)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = n.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "what node n1 has agreed to: restore it, or remove the node") {
		t.Errorf("it starts: %v", err)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
