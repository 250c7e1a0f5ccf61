package node

import (
	"encoding/json" // the streams' settings are in the form that NATS gives them
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	eventstream "github.com/belfryhq/belfry/eventlog/jetstream"
	"github.com/belfryhq/belfry/exec/credential"
)

// Of the data directory of a node alone that becomes a member of a cluster.
const (
	// initDir is the folder in it that holds all of Init until that has finished,
	// and progressFile the file there that says how far it is.
	initDir      = "cluster-init"
	progressFile = "progress.json"
	// backupDir holds the backup, and memberDir is the data directory of the
	// member that is to be.
	backupDir = "backup"
	memberDir = "node"
	// keptMark is between the old name of what is kept and when that was.
	keptMark = ".before-cluster-"
)

// step is how far Init is. Each begins when progress.json says so.
type step string

const (
	// stepSaved: the backup is whole. What comes before leaves the directory as it
	// was; from now on its node alone does not start any more.
	stepSaved step = "saved"
	// stepCompared: all copies in the cluster are what was saved. From now on the
	// cluster may write, and there is no way back.
	stepCompared step = "compared"
)

// progress is what Init knows of the streams that it moves.
type progress struct {
	Step step   `json:"step"`
	Node string `json:"node"` // the member that the node becomes
	// Mark ends the names of what is kept.
	Mark string `json:"mark"`
	// Stream is the event stream's id, and LowWater what Raft remembered of it.
	Stream   string              `json:"stream"`
	LowWater uint64              `json:"low_water"`
	Events   digest              `json:"events"`
	Saved    []eventstream.Saved `json:"saved"` // the event stream first
}

// former is the data directory of a node alone, held by this process.
type former struct {
	directory

	progress progress // Step is "" before anything counts
}

// openFormer takes the directory, and changes nothing in it if that is refused.
func openFormer(cfg Config) (*former, error) {
	path := cfg.DataDir
	if _, err := os.Stat(filepath.Join(path, identityFile)); err != nil {
		return nil, fmt.Errorf("%s is no data directory of Belfry's, it has no %s: name that of \"belfry up\" with --from", path, identityFile)
	}
	lock, err := lockDirectory(path, "--from")
	if err != nil {
		return nil, err
	}
	f := &former{directory: directory{path: path, lock: lock}}
	if err := f.read(cfg.Cluster.Name, cfg.Prefix); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// read finds out what the directory is, and how far Init has come with it.
func (f *former) read(member, prefix string) error {
	begun, err := readJSON(f.join(initDir, progressFile), &f.progress)
	if err != nil {
		return err
	}
	var is identity
	if _, err := readJSON(f.join(identityFile), &is); err != nil {
		return err
	}
	f.is = is
	switch {
	case is.Format != formatNow:
		return fmt.Errorf("data directory %s has format %d, this version of belfry knows %d: use the version that wrote it", f.path, is.Format, formatNow)
	case prefixOf(is) != prefix:
		return fmt.Errorf("data directory %s belongs to a Belfry with --prefix %s, not %s: give that", f.path, prefixOf(is), prefix)
	case begun && f.progress.Node != member:
		return fmt.Errorf("data directory %s is becoming that of node %s, not %s: give that --name", f.path, f.progress.Node, member)
	case begun:
		return nil
	case is.Mode == modeClustered:
		return fmt.Errorf("data directory %s is that of node %s of a cluster already: start it with \"belfry node --data %s\"", f.path, is.Node, f.path)
	case is.Mode != modeStandalone:
		return fmt.Errorf("data directory %s belongs to a %s node: name that of \"belfry up\" with --from", f.path, is.Mode)
	}
	for _, name := range []string{"nats", "raft"} {
		if _, err := os.Stat(f.join(name)); err != nil {
			return fmt.Errorf("data directory %s holds no %s, so there is nothing to bring into a cluster: start the nodes with \"belfry node\"", f.path, name)
		}
	}
	return nil
}

// readJSON reads a file; false if there is none.
func readJSON(file string, into any) (bool, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("%s is damaged (%w): restore it from a backup", file, err)
	}
	return true, nil
}

// fresh makes an empty folder for Init. What an earlier one left there never
// counted.
func (f *former) fresh(member string) error {
	if err := os.RemoveAll(f.join(initDir)); err != nil {
		return err
	}
	f.progress = progress{Node: member, Mark: time.Now().UTC().Format("20060102T150405Z")}
	return os.MkdirAll(f.join(initDir, backupDir), 0o700)
}

// reach says, for good, that Init is so far.
func (f *former) reach(s step) error {
	f.progress.Step = s
	raw, err := json.MarshalIndent(f.progress, "", "  ")
	if err != nil {
		return err
	}
	inside := directory{path: f.join(initDir)}
	return errors.Join(inside.replace(progressFile, append(raw, '\n')), syncDir(inside.path), syncDir(f.path))
}

// becoming refuses a node on a directory with which Init has not finished.
func (d *directory) becoming() error {
	var p progress
	switch begun, err := readJSON(d.join(initDir, progressFile), &p); {
	case err != nil || !begun:
		return err
	case p.Step == stepCompared:
		return fmt.Errorf("data directory %s has become that of node %s of a cluster, but for the last step: run \"belfry cluster init --from %s\" again", d.path, p.Node, d.path)
	}
	return fmt.Errorf("data directory %s is becoming that of node %s of a cluster: run \"belfry cluster init --from %s\" again, or, to give that up, remove %s there and begin the other nodes anew", d.path, p.Node, d.path, initDir)
}

// finish puts what the member has in the place of what the node alone had, which
// is kept under another name. It may be repeated, from wherever it was
// interrupted: each of its acts looks at how things are.
func (f *former) finish() error {
	for _, act := range f.acts() {
		if err := act(); err != nil {
			return fmt.Errorf("data directory %s could not be made that of node %s: %w; run the command again", f.path, f.progress.Node, err)
		}
	}
	return nil
}

// acts are those of finish. As long as the folder of Init is there, no node
// starts here; it goes last.
func (f *former) acts() []func() error {
	var all []func() error
	for _, name := range []string{"nats", "raft", snapshotFile} {
		all = append(all, func() error { return f.keep(name) }, func() error { return f.bring(name) })
	}
	return append(all,
		func() error { return f.bring(credential.File) }, // the same, as all have agreed
		func() error { return f.bring(identityFile) },
		func() error { return f.keep(initDir) },
	)
}

// keep renames what the node alone had, once.
func (f *former) keep(name string) error {
	kept := f.join(name + keptMark + f.progress.Mark)
	if _, err := os.Lstat(kept); err == nil {
		return nil // what is there now is the member's
	}
	err := os.Rename(f.join(name), kept)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDir(f.path))
}

// bring moves what the member has to where its node looks for it.
func (f *former) bring(name string) error {
	err := os.Rename(f.join(initDir, memberDir, name), f.join(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDir(f.join(initDir, memberDir)), syncDir(f.path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
