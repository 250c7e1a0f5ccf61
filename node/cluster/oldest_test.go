package cluster

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

func TestTheFirstEntryInMemoryIsThatOfTheDisk(t *testing.T) {
	disk, err := openStore(t.TempDir())
	no(t, err)
	t.Cleanup(func() { _ = disk.Close() })
	s := &oldestKept{BoltStore: disk}
	var entry raft.Log
	if first, err := s.FirstIndex(); first != 0 || err != nil {
		t.Fatalf("an empty log begins at %d: %v", first, err)
	}
	for index := uint64(1); index <= 5; index++ {
		no(t, s.StoreLog(&raft.Log{Index: index, Data: []byte{byte(index)}}))
	}
	for _, want := range []uint64{1, 1, 4} { // read, remembered, and after the front was cut
		if want == 4 {
			no(t, s.DeleteRange(1, 3))
			if err := s.GetLog(1, &entry); !errors.Is(err, raft.ErrLogNotFound) {
				t.Fatalf("a deleted entry: %v", err)
			}
		}
		first, err := s.FirstIndex()
		no(t, err)
		no(t, s.GetLog(first, &entry))
		if first != want || entry.Index != want || entry.Data[0] != byte(want) {
			t.Fatalf("the log begins at %d with %+v, want %d", first, entry, want)
		}
	}
	no(t, s.GetLog(5, &entry))
	if entry.Index != 5 {
		t.Fatalf("entry 5 is %+v", entry)
	}
}
