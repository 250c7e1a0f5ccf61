package broker

import (
	"bufio"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/belfryhq/belfry/exec/credential"
)

func secret(t *testing.T) credential.Secret {
	t.Helper()
	return must(credential.Make(filepath.Join(t.TempDir(), credential.File)))(t)
}

// over connects over TCP with a key, under a name.
func over(t *testing.T, b *Broker, name string, key nkeys.KeyPair) (*nats.Conn, error) {
	t.Helper()
	quiet := func(*nats.Conn, *nats.Subscription, error) {} // tests look at LastError
	conn, err := nats.Connect(b.ClientURL(), nats.Name(name), nats.Nkey(must(key.PublicKey())(t), key.Sign), nats.ErrorHandler(quiet))
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, err
}

func TestAnExecutorOverTCPIsItsNameAndNoOther(t *testing.T) {
	s := secret(t)
	b := start(t, func(c *Config) { c.ExecutorSecret = s })
	stream := events(t, must(b.NodeConn("node"))(t))
	executor := must(over(t, b, "far", must(s.Key("far"))(t)))(t)

	node := must(b.NodeConn("test"))(t)
	for _, subject := range []string{"belfry.announce.far", "belfry.result.far.63", "belfry.schedule.far.63", "belfry.logs.far.run_1.1"} {
		heard := must(node.SubscribeSync(subject))(t)
		flush(t, node)
		if err := executor.Publish(subject, []byte("said")); err != nil {
			t.Fatal(err)
		}
		if msg := must(heard.NextMsg(5 * time.Second))(t); string(msg.Data) != "said" {
			t.Fatalf("%s: %s", subject, msg.Data)
		}
	}
	runs := must(executor.SubscribeSync("belfry.run.*.far"))(t)
	flush(t, executor)
	if err := node.Publish("belfry.run.default.far", []byte("run")); err != nil {
		t.Fatal(err)
	}
	must(runs.NextMsg(5 * time.Second))(t)

	for _, subject := range append(streamWrites(),
		"belfry.announce.e1", "belfry.result.e1.3", "belfry.logs.e1.run.1", "belfry.announce.near",
		"belfry.api.admin.item.create", "_INBOX_e1.x", "_INBOX_NODE.x", "_INBOX.x",
	) {
		refusedPublish(t, executor, subject)
	}
	for _, subject := range []string{">", "belfry.run.*.e1", "belfry.run.>", "belfry.exec.e1.>", "belfry.exec.near.>", "_INBOX_e1.>"} {
		refusedSubscribe(t, executor, subject)
	}
	unchanged(t, stream)
}

func TestAnExecutorWithoutItsKeyIsRefused(t *testing.T) {
	s := secret(t)
	b := start(t, func(c *Config) { c.ExecutorSecret = s })
	closed := start(t, nil)
	far := must(s.Key("far"))(t)
	for name, try := range map[string]func() (*nats.Conn, error){
		"the key of another name":     func() (*nats.Conn, error) { return over(t, b, "near", far) },
		"no name":                     func() (*nats.Conn, error) { return over(t, b, "", far) },
		"another node's secret":       func() (*nats.Conn, error) { return over(t, b, "far", must(secret(t).Key("far"))(t)) },
		"a drawn key":                 func() (*nats.Conn, error) { return over(t, b, "far", must(nkeys.CreateUser())(t)) },
		"a name of the node's own":    func() (*nats.Conn, error) { return over(t, b, "e1", must(s.Key("e1"))(t)) },
		"a name that is a wildcard":   func() (*nats.Conn, error) { return over(t, b, "*", must(s.Key("*"))(t)) },
		"a name of several tokens":    func() (*nats.Conn, error) { return over(t, b, "a.b", must(s.Key("a.b"))(t)) },
		"a broker without a secret":   func() (*nats.Conn, error) { return over(t, closed, "far", far) },
		"the key of no secret at all": func() (*nats.Conn, error) { return over(t, closed, "far", must(credential.Secret{}.Key("far"))(t)) },
		"the key and another's signature": func() (*nats.Conn, error) {
			return nats.Connect(b.ClientURL(), nats.Name("far"), nats.Nkey(must(far.PublicKey())(t), must(s.Key("near"))(t).Sign))
		},
		"the key and the signature of something else": func() (*nats.Conn, error) {
			return nats.Connect(b.ClientURL(), nats.Name("far"), nats.Nkey(must(far.PublicKey())(t), func([]byte) ([]byte, error) {
				return far.Sign([]byte("an earlier nonce"))
			}))
		},
	} {
		conn, err := try()
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Clients that were written for an open server see one: nobody is asked for
// credentials who has none.
func TestCallersAreNotAskedForCredentials(t *testing.T) {
	b := start(t, func(c *Config) { c.ExecutorSecret = secret(t) })
	conn := must(net.Dial("tcp", strings.TrimPrefix(b.ClientURL(), "nats://")))(t)
	defer func() { _ = conn.Close() }()
	greeting := must(bufio.NewReader(conn).ReadString('\n'))(t)
	if !strings.HasPrefix(greeting, "INFO ") || strings.Contains(greeting, `"auth_required":true`) {
		t.Errorf("the server greets with %s", greeting)
	}
}
