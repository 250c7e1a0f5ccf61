// Package credential is how an executor that is a process of its own proves its
// name: a secret in a file, and the key that the secret gives a name.
//
// It opens no connection and knows no permissions: node makes the file,
// node/broker admits by the key, exec/process signs with it.
//
//	<data>/executors.key ── 32 bytes ── HKDF(name) ──▶ the NKey of that executor
//
// Who holds the file can be any executor, and nothing else. Whoever has the key
// of one name only, taken from a process or a connection, can be that one.
//
// # Concurrency
//
// A Secret is a plain value. Functions are safe for concurrent use.
package credential
