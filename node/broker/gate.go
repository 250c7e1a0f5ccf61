package broker

import (
	"encoding/base64"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// gate admits connections. It stands in for the server's own list of keys, which
// is fixed at start: executors come with names that nobody knew then.
type gate struct {
	ids    identities
	server *server.Server // set before it takes connections
	log    *slog.Logger
}

// install makes the accounts and the gate part of the server's options.
func (g *gate) install(opts *server.Options) error {
	if err := opts.ProcessConfigString(wallsOf(g.ids.prefix)); err != nil {
		return fmt.Errorf("nats accounts: %w", err)
	}
	opts.CustomClientAuthentication = g
	opts.AlwaysEnableNonce = true // what a key signs
	// The server asks only the gate. That somebody may come without credentials
	// is said here besides, so that it tells clients that it demands none.
	opts.Nkeys = []*server.NkeyUser{{Nkey: g.ids.caller.public}}
	opts.NoAuthUser = g.ids.caller.public
	return nil
}

// Check implements server.Authentication: it says whether a connection is
// admitted, and gives it its account and permissions.
func (g *gate) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false // no other server is part of this one
	}
	id, ok := g.who(c)
	if !ok {
		return false
	}
	account, err := g.server.LookupAccount(id.account)
	if err != nil {
		g.log.Error("an account of the nats server is missing", "account", id.account, "error", err)
		return false
	}
	c.RegisterUser(&server.User{Account: account, Permissions: id.permissions})
	return true
}

// who is the identity that a connection has proven to be.
func (g *gate) who(c server.ClientAuthentication) (identity, bool) {
	said := c.GetOpts()
	if said.Nkey == "" && said.Sig == "" && said.JWT == "" && said.Username == "" && said.Password == "" && said.Token == "" {
		return g.ids.caller, true
	}
	id, known := g.ids.find(said.Nkey, said.Name)
	if !known || !signed(id.public, c.GetNonce(), said.Sig) {
		return identity{}, false
	}
	if id.inProcess && !withinProcess(c) {
		return identity{}, false
	}
	return id, true
}

// signed says whether the owner of a key has signed the nonce.
func signed(public string, nonce []byte, signature string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(nonce) == 0 {
		return false
	}
	key, err := nkeys.FromPublicKey(public)
	return err == nil && key.Verify(nonce, raw) == nil
}

// withinProcess says whether a connection comes from inside this process: those
// are pipes of net.Pipe, and what a listener accepts never is.
func withinProcess(c server.ClientAuthentication) bool {
	addr := c.RemoteAddress()
	return addr != nil && addr.Network() == "pipe"
}
