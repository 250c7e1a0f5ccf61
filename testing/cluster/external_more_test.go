package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
	"github.com/belfryhq/belfry/testing/cluster"
)

// A NATS server alone that is killed under load takes what was acknowledged with
// it to nowhere: nodes wait for it, and go on when it is back.
func TestALoneNATSComesBack(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 1, cluster.JetStream)
	m := cluster.NewMembersOn(t, theirs.URL(), 3)
	m.Start()
	settled(t, m, 3)
	c, err := client.Connect(t.Context(), client.Config{URL: m.URL(), Timeout: attemptMax})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := startTrickle(t, c)
	time.Sleep(2 * time.Second) // real processes, real time
	theirs.Servers[0].Kill()
	time.Sleep(4 * time.Second)
	theirs.Servers[0].Start()
	begun := time.Now()
	until(t, "it answers again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.ClusterStatus(ctx)
		return err == nil
	})
	t.Logf("it answers again %v after the server is back", time.Since(begun))
	settled(t, m, 3)
	time.Sleep(2 * time.Second)
	v := l.judge(t, m)
	t.Logf("%d items, ended %v", l.made, v.Counts())
	for _, p := range m.Nodes {
		if !p.Runs() {
			t.Errorf("%s has ended: %s", p.Name, p.Stderr())
		}
	}
}

// On a NATS of others nodes hold no copy of the stream: one joins, and one goes,
// down to the last.
func TestGrowAndShrinkOnAnExternalNATS(t *testing.T) {
	t.Parallel()
	theirs := cluster.NewNATS(t, 1, cluster.JetStream)
	m := cluster.NewMembersOn(t, theirs.URL(), 1, "--no-exec")
	first := m.Nodes[0]
	first.Start()
	if out := must(t, first, "cluster", "join"); !strings.Contains(out, "--join "+first.Raft+" --nats "+theirs.URL()) {
		t.Errorf("a further node is started with %s", out)
	}
	m.AddTo("--no-exec").Start()
	settled(t, m, 2)
	m.AddTo("--no-exec").Start()
	settled(t, m, 3)
	c := m.Client(api.Admin)
	if _, err := c.CreateUser(t.Context(), api.UserInput{ID: "ada", Name: text("Ada")}); err != nil {
		t.Fatal(err)
	}
	for left := 2; left > 0; left-- {
		goes := m.Nodes[2-left]
		if _, err := c.RemoveNode(t.Context(), goes.Name); err != nil {
			t.Fatal(err)
		}
		if err := goes.Wait(30 * time.Second); err == nil || err.Error() != "exit status 1" || !strings.Contains(goes.Stderr(), "removed from") {
			t.Errorf("%s ended with %v: %s", goes.Name, err, goes.Stderr())
		}
		removed(t, c, goes)
		settled(t, m, left)
	}
	if u, err := c.GetUser(t.Context(), "ada"); err != nil || u.Name != "Ada" {
		t.Errorf("the last node knows %+v: %v", u, err)
	}
	v := cluster.Judge(t, m.Conn())
	v.Owned("n3")
	cluster.Report(t, v)
}

// credentials makes an operator with one account that has JetStream: the server's
// configuration, and a file with credentials of a user.
func credentials(t *testing.T) (config, file string) {
	t.Helper()
	key := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		pair, err := make()
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return pair, public
	}
	signed := func(claims interface {
		Encode(nkeys.KeyPair) (string, error)
	}, by nkeys.KeyPair) string {
		text, err := claims.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operator, operatorID := key(nkeys.CreateOperator)
	account, accountID := key(nkeys.CreateAccount)
	_, systemID := key(nkeys.CreateAccount)
	user, userID := key(nkeys.CreateUser)
	theirs := jwt.NewAccountClaims(accountID)
	theirs.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: 1 << 30, MemoryStorage: 1 << 26, Streams: -1, Consumer: -1}
	o := jwt.NewOperatorClaims(operatorID)
	o.SystemAccount = systemID
	config = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		signed(o, operator), systemID, accountID, signed(theirs, operator), systemID, signed(jwt.NewAccountClaims(systemID), operator))
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(signed(jwt.NewUserClaims(userID), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "belfry.creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return config, file
}

// A file with credentials does for nodes, executors and callers.
func TestCredentialsInAFile(t *testing.T) {
	config, file := credentials(t)
	theirs := cluster.NewNATS(t, 1, cluster.JetStream+config)
	p := cluster.NewMembersOn(t, theirs.URL(), 1, "--no-exec", "--nats-creds", file).Nodes[0]
	p.Start()
	start(p.ExecutorAt(theirs.URL(), "e1", "--nats-creds", file))
	if _, errs, status := p.Belfry("cluster", "status"); status != 1 || !strings.Contains(errs, "refuses these credentials") {
		t.Errorf("without credentials it answers with %d: %s", status, errs)
	}
	t.Setenv("BELFRY_NATS_CREDS", file)
	code := write(t, "f.py", "def execute(current_user, **kwargs):\n    return 'done'\n")
	must(t, p, "function", "create", "--name", "f", "--file", code)
	if out := must(t, p, "item", "create", "--name", "one", "--in", "0s", "--function", "f", "--wait"); !strings.Contains(out, "done") {
		t.Errorf("the item gave %s", out)
	}
}
