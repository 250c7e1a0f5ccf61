package broker

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/belfryhq/belfry/exec/credential"
)

// identity is who a connection is, and what it may do.
type identity struct {
	name    string
	key     nkeys.KeyPair
	public  string // of key
	inbox   string // prefix of its reply subjects
	account string
	// permissions is nil for who may do everything in the account.
	permissions *server.Permissions
	inProcess   bool // refused over TCP
}

// identities are all that the server knows, but for the executors that are
// processes of their own: those have the keys that the secret gives their names.
type identities struct {
	node, service, caller, system identity

	prefix    string // of the subjects
	executors map[string]identity
	reserved  func(name string) bool
	secret    credential.Secret
}

func newIdentities(prefix string, executors []string, reserved func(string) bool, secret credential.Secret) (identities, error) {
	ids := identities{
		prefix: prefix,

		node:      identity{name: "node", account: accountNode, inbox: inboxNode, inProcess: true},
		service:   identity{name: "service", account: accountCallers, inbox: inboxCaller, permissions: servicePermissions(prefix), inProcess: true},
		caller:    identity{name: "caller", account: accountCallers, inbox: inboxCaller, permissions: callerPermissions(prefix)},
		system:    identity{name: "system", account: accountSystem, inbox: inboxNode, inProcess: true},
		executors: make(map[string]identity, len(executors)),
		reserved:  reserved,
		secret:    secret,
	}
	for _, id := range []*identity{&ids.node, &ids.service, &ids.caller, &ids.system} {
		if err := id.drawKey(); err != nil {
			return identities{}, err
		}
	}
	for _, name := range executors {
		id := newExecutor(prefix, name)
		id.inProcess = true
		if err := id.drawKey(); err != nil {
			return identities{}, err
		}
		ids.executors[name] = id
	}
	return ids, nil
}

// newExecutor is an executor without its key. It trusts that name is valid.
func newExecutor(prefix, name string) identity {
	return identity{name: name, account: accountExecutors, inbox: inboxExecutor + name, permissions: executorPermissions(prefix, name)}
}

func (id *identity) drawKey() error {
	key, err := nkeys.CreateUser()
	if err != nil {
		return fmt.Errorf("draw a key: %w", err)
	}
	return id.take(key)
}

func (id *identity) take(key nkeys.KeyPair) (err error) {
	id.key = key
	if id.public, err = key.PublicKey(); err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	return nil
}

// find is the identity of a public key; name is what an executor says it is
// called. Nothing is proven yet.
func (ids identities) find(public, name string) (identity, bool) {
	for _, id := range []identity{ids.node, ids.service, ids.caller, ids.system} {
		if id.public == public {
			return id, true
		}
	}
	if id, own := ids.executors[name]; own {
		return id, id.public == public // a name of ours has no other key
	}
	if ids.secret.IsZero() || !validName(name) || ids.reserved != nil && ids.reserved(name) {
		return identity{}, false
	}
	key, err := ids.secret.Key(name)
	if err != nil {
		return identity{}, false
	}
	id := newExecutor(ids.prefix, name)
	return id, id.take(key) == nil && id.public == public
}
