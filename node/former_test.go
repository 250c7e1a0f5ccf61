package node

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
)

// lay writes files.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// laid reads all files below a directory, but for locks.
func laid(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == lockFile {
			return err
		}
		content, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir+"/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const aloneIs = `{"mode": "standalone", "node": "local", "format": 1}`

// alone is the directory of a node alone.
func alone() map[string]string {
	return map[string]string{
		identityFile: aloneIs, "executors.key": "key", "snapshot": "old", "nats/jetstream/blk": "old", "raft/raft.db": "old",
	}
}

// compared is that of one with which Init has only to finish.
func compared() map[string]string {
	files := alone()
	maps.Copy(files, map[string]string{
		"cluster-init/progress.json":    `{"step": "compared", "node": "n1", "mark": "NOW"}`,
		"cluster-init/backup/stream":    "backup",
		"cluster-init/node/belfry.json": `{"mode": "clustered", "node": "n1", "format": 1, "instance": "I"}`,
		"cluster-init/node/nats/js/blk": "new", "cluster-init/node/raft/raft.db": "new", "cluster-init/node/executors.key": "key",
	})
	return files
}

// The last step may be cut off between any two of its acts, and once more: no node
// starts on what is half done, and in the end all that was there is there.
func TestTheLastStepGoesOnFromWhereverItWasCutOff(t *testing.T) {
	want := map[string]string{
		identityFile: compared()["cluster-init/node/belfry.json"], "executors.key": "key", "nats/js/blk": "new", "raft/raft.db": "new",
		"nats.before-cluster-NOW/jetstream/blk": "old", "raft.before-cluster-NOW/raft.db": "old", "snapshot.before-cluster-NOW": "old",
		"cluster-init.before-cluster-NOW/progress.json": compared()["cluster-init/progress.json"], "cluster-init.before-cluster-NOW/backup/stream": "backup",
	}
	acts := len((&former{}).acts())
	for first := range acts {
		for second := range acts - 1 {
			dir := t.TempDir()
			lay(t, dir, compared())
			for _, cut := range []int{first, second} {
				f, err := openFormer(Config{DataDir: dir, Prefix: string(api.DefaultPrefix), Cluster: &ClusterConfig{Name: "n1"}})
				if err != nil {
					t.Fatalf("cut off after %d and %d acts: %v", first, second, err)
				}
				for _, act := range f.acts()[:cut] {
					if err := act(); err != nil {
						t.Fatal(err)
					}
				}
				if err := f.close(); err != nil {
					t.Fatal(err)
				}
				for name, clustered := range map[string]bool{Name: false, "n1": true} {
					if _, err := openDirectory(dir, identityOf(name, clustered)); err == nil || !strings.Contains(err.Error(), "but for the last step") {
						t.Fatalf("cut off after %d and %d acts: node %s starts: %v", first, second, name, err)
					}
				}
			}
			f, err := openFormer(Config{DataDir: dir, Prefix: string(api.DefaultPrefix), Cluster: &ClusterConfig{Name: "n1"}})
			if err == nil {
				err = errors.Join(f.finish(), f.close())
			}
			if got := laid(t, dir); err != nil || !maps.Equal(got, want) {
				t.Fatalf("cut off after %d and %d acts: %v, and there is %v", first, second, err, got)
			}
			d, err := openDirectory(dir, identityOf("n1", true))
			if err != nil {
				t.Fatal(err)
			}
			_ = d.close()
		}
	}
}

// What is no directory of a node alone is refused in one line, and stays as it is.
func TestInitRefusesOtherDirectories(t *testing.T) {
	with := func(name, content string) map[string]string {
		files := alone()
		files[name] = content
		return files
	}
	withoutNATS := alone()
	delete(withoutNATS, "nats/jetstream/blk")
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"an empty one":               {nil, "is no data directory of Belfry's"},
		"one of others":              {map[string]string{"photo": "x"}, "is no data directory of Belfry's"},
		"that of a member":           {with(identityFile, `{"mode": "clustered", "node": "n7", "format": 1}`), `is that of node n7 of a cluster already: start it with "belfry node --data`},
		"one of the future":          {with(identityFile, `{"mode": "standalone", "node": "local", "format": 9}`), "has format 9"},
		"one that is broken":         {with(identityFile, `{"mode`), "belfry.json is damaged"},
		"one that was never started": {withoutNATS, "holds no nats"},
		"one that becomes another":   {with("cluster-init/progress.json", `{"step": "saved", "node": "n2"}`), "is becoming that of node n2, not n1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lay(t, dir, c.files)
			f, err := openFormer(Config{DataDir: dir, Prefix: string(api.DefaultPrefix), Cluster: &ClusterConfig{Name: "n1"}})
			if err == nil {
				_ = f.close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, c.says)
			}
			if got := laid(t, dir); !maps.Equal(got, c.files) {
				t.Errorf("it was changed: %v", slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

// A directory whose backup counts is refused to every node, with what to do.
func TestADirectoryInBetweenIsRefused(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, alone())
	lay(t, dir, map[string]string{"cluster-init/backup/stream": "half"})
	d, err := openDirectory(dir, identityOf(Name, false))
	if err != nil {
		t.Fatalf("a backup that was cut off counts: %v", err)
	}
	_ = d.close()
	lay(t, dir, map[string]string{"cluster-init/progress.json": `{"step": "saved", "node": "n1"}`})
	for name, clustered := range map[string]bool{Name: false, "n1": true} {
		_, err := openDirectory(dir, identityOf(name, clustered))
		if err == nil || !strings.Contains(err.Error(), `run "belfry cluster init --from `+dir+`" again, or, to give that up, remove cluster-init there`) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each difference between two streams is seen.
func TestDigestsDiffer(t *testing.T) {
	d := digest{FirstSeq: 1, LastSeq: 9, Messages: 9, Content: "c", Cluster: "k"}
	if wrong := d.differs(d); wrong != "" {
		t.Errorf("the same is another: %s", wrong)
	}
	for name, change := range map[string]func(*digest){
		"it has 9 messages from sequence 2 to 9": func(d *digest) { d.FirstSeq = 2 },
		"it has 9 messages from sequence 1 to 8": func(d *digest) { d.LastSeq = 8 },
		"it has 8 messages from sequence 1 to 9": func(d *digest) { d.Messages = 8 },
		"nodes and owners":                       func(d *digest) { d.Cluster = "x" },
		"partition 63":                           func(d *digest) { d.Partitions[eventlog.Partitions-1] = "x" },
		"its messages":                           func(d *digest) { d.Content = "x" },
	} {
		other := d
		change(&other)
		if wrong := d.differs(other); !strings.Contains(wrong, name) {
			t.Errorf("%s: it says %q", name, wrong)
		}
	}
}

func identityOf(name string, clustered bool) identity {
	if clustered {
		return identity{Mode: modeClustered, Node: name}
	}
	return identity{Mode: modeStandalone, Node: name}
}
