package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/node/api"
)

// directory is a data directory in use.
type directory struct {
	path string
	lock *os.File
	is   identity
}

// identity is the file belfry.json: what the directory's content belongs to.
type identity struct {
	Mode   string `json:"mode"` // standalone or clustered
	Node   string `json:"node"`
	Format int    `json:"format"`
	// Instance names the directory itself, in a cluster: the name of a node whose
	// directory was lost is never taken for that node.
	Instance string `json:"instance,omitzero"`
	// Member says that the node has been one of its cluster: its Raft store is there.
	Member bool `json:"member,omitzero"`
	// Prefix of subjects and streams; absent for the default one.
	Prefix string `json:"prefix,omitzero"`
	// External says that its streams are on a NATS that others run.
	External bool `json:"external,omitzero"`
	// Removed says that its cluster has removed the node, for good.
	Removed bool `json:"removed,omitzero"`
}

const (
	identityFile   = "belfry.json"
	lockFile       = "belfry.lock"
	snapshotFile   = "snapshot"
	modeStandalone = "standalone"
	modeClustered  = "clustered"
	formatNow      = 1
)

// identity is what the data directory of this node must belong to.
func (n *Node) identity() identity {
	is := identity{Mode: modeStandalone, Node: n.cfg.name(), External: n.cfg.external() != nil}
	if n.cfg.Cluster != nil {
		is.Mode = modeClustered
	}
	if n.cfg.Prefix != string(api.DefaultPrefix) {
		is.Prefix = n.cfg.Prefix
	}
	return is
}

// openDirectory makes or takes the data directory of a node, for this process
// alone; as says what it must belong to.
func openDirectory(path string, as identity) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be made (%w): %s", path, cause(err), insteadOf(err, "--data"))
	}
	lock, err := lockDirectory(path, "--data")
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, lock: lock}
	err = d.becoming()
	if err == nil {
		err = d.identify(as)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// lockDirectory takes a directory that exists for this process alone, and notes
// which that is. The flag is the one that named it.
func lockDirectory(path, flag string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s is not writable (%w): %s", path, cause(err), insteadOf(err, flag))
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(lock.Name()) // for the message only
		return nil, errors.Join(fmt.Errorf("data directory %s is in use by another belfry (process %s): stop it, or choose another with %s", path, strings.TrimSpace(string(holder)), flag), lock.Close())
	}
	if err := errors.Join(lock.Truncate(0), writeAt(lock, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s is not writable (%w): %s", path, cause(err), insteadOf(err, flag)), lock.Close())
	}
	return lock, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// insteadOf is what to do about a directory that cannot be used. Another one than a
// full one would lose what is there. The flag is the one that named it.
func insteadOf(err error, flag string) string {
	if errors.Is(err, syscall.ENOSPC) {
		return "make room"
	}
	return "choose another with " + flag
}

// cause is the reason of a file error without the path, which is told already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// identify reads belfry.json, or writes it into an empty directory.
func (d *directory) identify(is identity) error {
	clustered := is.Mode == modeClustered
	is.Format = formatNow
	if clustered {
		is.Instance = ulid.Make().String()
	}
	file := filepath.Join(d.path, identityFile)
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(d.path)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() != lockFile && e.Name() != identityFile+".new" {
				return fmt.Errorf("data directory %s holds %s and no %s: it is not Belfry's; choose an empty one with --data", d.path, e.Name(), identityFile)
			}
		}
		d.is = is
		return d.write(is)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read (%w): choose another directory with --data", file, cause(err))
	}
	var found identity
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("%s is damaged (%w): restore it from a backup", file, err)
	}
	switch {
	case found.Mode != is.Mode && clustered:
		return fmt.Errorf("data directory %s belongs to a %s node: start it with \"belfry up\", or choose another with --data", d.path, found.Mode)
	case found.Mode != is.Mode:
		return fmt.Errorf("data directory %s belongs to a %s node: start it with \"belfry node\", or choose another with --data", d.path, found.Mode)
	case found.Node != is.Node:
		return fmt.Errorf("data directory %s belongs to node %s, not %s: give that --name, or choose another directory with --data", d.path, found.Node, is.Node)
	case found.Prefix != is.Prefix:
		return fmt.Errorf("data directory %s belongs to a Belfry with --prefix %s, not %s: give that, or choose another directory with --data", d.path, prefixOf(found), prefixOf(is))
	case found.External && !is.External:
		return fmt.Errorf("data directory %s is of a node whose streams are on a NATS of your own: name that with --nats, or choose another directory with --data", d.path)
	case found.External != is.External:
		return fmt.Errorf("data directory %s is of a node that runs NATS itself: leave --nats out, or choose another directory with --data", d.path)
	case found.Format != formatNow:
		return fmt.Errorf("data directory %s has format %d, this version of belfry knows %d: use the version that wrote it", d.path, found.Format, formatNow)
	case found.Removed:
		return fmt.Errorf("data directory %s is of node %s, which was removed from its cluster for good: choose an empty one with --data, and another --name", d.path, found.Node)
	}
	d.is = found
	return nil
}

// noteMember keeps for good that this node is one of its cluster.
func (d *directory) noteMember() error {
	if d.is.Member {
		return nil
	}
	d.is.Member = true
	return d.write(d.is)
}

// remembersRaft refuses a member whose Raft store is gone: it would vote anew, and
// disown what it has agreed to.
func (d *directory) remembersRaft() error {
	store := d.join("raft", "raft.db")
	if _, err := os.Stat(store); !d.is.Member || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s is gone, and with it what node %s has agreed to: restore it, or remove the node with \"belfry cluster remove %s\" and start another, with another --name and an empty --data", store, d.is.Node, d.is.Node)
}

func prefixOf(is identity) string { return cmp.Or(is.Prefix, string(api.DefaultPrefix)) }

// write keeps the identity.
func (d *directory) write(is identity) error {
	raw, err := json.Marshal(is, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return d.replace(identityFile, append(raw, '\n'))
}

// replace puts a file in place as a whole or not at all.
func (d *directory) replace(name string, content []byte) error {
	file := d.join(name)
	temporary := file + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("data directory %s is not writable (%w): %s", d.path, cause(err), insteadOf(err, "--data"))
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil { // what is there stays
		return errors.Join(fmt.Errorf("data directory %s is not writable (%w): %s", d.path, cause(err), insteadOf(err, "--data")), os.Remove(temporary))
	}
	return os.Rename(temporary, file)
}

func (d *directory) join(names ...string) string {
	return filepath.Join(d.path, filepath.Join(names...))
}

// close gives the directory free.
func (d *directory) close() error { return d.lock.Close() }
