package exec

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/exec/wire"
)

func TestCodesAreBoundedByCount(t *testing.T) {
	c := newCodes()
	for v := range codesMax {
		c.put(codeKey{"f", v}, "x")
	}
	c.get(codeKey{"f", 0}) // used: not the next to go
	c.put(codeKey{"g", 1}, "x")
	if _, ok := c.get(codeKey{"f", 1}); ok {
		t.Error("the one unused for longest is kept")
	}
	if _, ok := c.get(codeKey{"f", 0}); !ok || len(c.byKey) != codesMax {
		t.Errorf("%d are kept", len(c.byKey))
	}
}

func TestCodesAreBoundedByBytes(t *testing.T) {
	c := newCodes()
	big := strings.Repeat("x", wire.CodeBytesMax)
	for v := range 2 * codeBytesMax / len(big) {
		c.put(codeKey{"f", v}, big)
	}
	if c.bytes != codeBytesMax || c.lru.Len() != codeBytesMax/len(big) {
		t.Errorf("%d bytes of %d", c.bytes, c.lru.Len())
	}
	c.put(codeKey{"f", 0}, "small")
	c.put(codeKey{"f", 0}, "other")
	if code, _ := c.get(codeKey{"f", 0}); code != "other" || c.bytes > codeBytesMax {
		t.Errorf("%q, %d bytes", code, c.bytes)
	}
}

func TestRecentAttemptsAreBounded(t *testing.T) {
	f := newFence("s")
	for i := range recentMax + 10 {
		f.stored(wire.Attempt{Run: "r", Attempt: i})
		f.stored(wire.Attempt{Run: "r", Attempt: i})
	}
	if len(f.recent) != recentMax || len(f.order) != recentMax {
		t.Errorf("%d attempts are remembered", len(f.recent))
	}
	if _, ok := f.recent[wire.Attempt{Run: "r", Attempt: 9}]; ok {
		t.Error("the oldest is remembered")
	}
	if _, ok := f.recent[wire.Attempt{Run: "r", Attempt: 10}]; !ok {
		t.Error("a recent one is forgotten")
	}
}
