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

// The users of a runtime that was killed are nobody else's until its parent, which
// still kills and removes what is theirs, has ended.
func TestUsersAreHeldUntilTheParentHasEnded(t *testing.T) {
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if r.users == nil {
		_ = r.Close()
		t.Skip("workers have no users of their own, unless one is root")
	}
	if err := r.users.held.Close(); err != nil { // as the end of our process does
		t.Fatal(err)
	}
	block := func() int {
		u, err := newUsers()
		if err != nil {
			t.Fatal(err)
		}
		u.close()
		return u.first
	}
	if next := block(); next == r.users.first {
		t.Error("the parent lives, and its users are given to another runtime")
	}
	r.parent.close()
	<-r.parent.ended
	if next := block(); next > r.users.first {
		t.Errorf("the parent has ended, and its users %d are held: %d is the next block", r.users.first, next)
	}
	_ = r.Close()
}
