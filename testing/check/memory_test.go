package check

import (
	"runtime"
	"testing"
)

// perEventMax bounds what a verdict keeps of each event, in bytes, where three
// make the life of an item: 470 to 540 were measured, since maps grow by doubling.
const perEventMax = 640

// A long log costs its lives, not its bytes.
func TestMemoryOfALongLog(t *testing.T) {
	log := busy(12_000).render()
	size := 0
	for _, c := range log {
		size += len(c.Body)
	}
	before := heap()
	v := Log(log)
	grown := heap() - before
	each := grown / v.Events
	t.Logf("%d events of %d bytes: %d bytes are kept, %d of each", v.Events, size, grown, each)
	if len(v.Violations) > 0 {
		t.Fatal(v.First(3))
	}
	if each > perEventMax {
		t.Errorf("%d bytes are kept of each event, not %d", each, perEventMax)
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(log)
}

// heap is what is alive, in bytes.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A log in which everything is wrong costs no more than one in which a thousand
// things are, and all are counted.
func TestMemoryOfALogThatIsAllWrong(t *testing.T) {
	log := busy(2_000).render()
	for n := range log {
		log[n].Body = []byte("[]")
	}
	v := Log(log)
	if len(v.Violations) != violationsMax || v.Unsaid < len(log)-violationsMax {
		t.Errorf("of %d commits %d are told of and %d are counted", len(log), len(v.Violations), v.Unsaid)
	}
}
