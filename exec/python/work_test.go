package python

import (
	"log/slog"
	"os"
	"strings"
	"testing"
)

// The parent of a runtime that was killed removes its work directory, perhaps after
// the next runtime has begun in the same place.
func TestAWorkDirectoryIsNotThatOfTheLastStart(t *testing.T) {
	dir := t.TempDir()
	first, err := workDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(first); err != nil {
		t.Fatal(err)
	}
	next, err := workDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if next == first {
		t.Errorf("both starts work in %s", next)
	}
}

// A run gets the level that it wants or a higher one, or none at all.
func TestALevelThatCannotBeHadIsRefused(t *testing.T) {
	r := &Runtime{level: LevelProcess, levels: map[string]string{"none": "", "process": "", "restricted": "", "isolated": "no namespaces"}}
	for want, c := range map[string]struct {
		level Level
		says  string
	}{
		"":           {level: LevelProcess},
		"none":       {level: LevelProcess},
		"process":    {level: LevelProcess},
		"restricted": {level: LevelRestricted},
		"isolated":   {says: "the function wants the sandbox isolated, and this executor reaches process (no namespaces)"},
		"airtight":   {says: "there is no sandbox"},
	} {
		level, err := r.levelFor(want)
		if level != c.level || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("who wants %q gets %q, %v", want, level, err)
		}
	}
	// What the Config asks for is refused at the start; else the next lower one is taken.
	r.cfg = Config{Sandbox: LevelIsolated, Logger: slog.New(slog.DiscardHandler)}
	if err := r.chooseLevel(); err == nil || !strings.Contains(err.Error(), "cannot be had (no namespaces)") {
		t.Errorf("an executor that shall be isolated starts: %v", err)
	}
	r.cfg.Sandbox, r.levels["restricted"] = "", "no Landlock"
	if err := r.chooseLevel(); err != nil || r.level != LevelProcess {
		t.Errorf("without restricted it is %s, %v", r.level, err)
	}
}
