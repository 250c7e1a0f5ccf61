package projection

import (
	"hash/fnv"
	"time"

	"github.com/belfryhq/belfry/eventlog"
)

// RequestMemory is for how long a repeated request is recognised (contract 3),
// counted in event time, so that every fold of the log forgets alike.
const RequestMemory = 10 * time.Minute

// requestMemory knows which commits hold what a request did: a short hash of
// its id and the sequence; the answer is read back from the log.
type requestMemory struct {
	queue []request           // in the order of the log
	byID  map[uint64][]uint64 // hash → sequences
}

type request struct {
	Hash uint64        `cbor:"1,keyasint"`
	Seq  uint64        `cbor:"2,keyasint"`
	Time eventlog.Time `cbor:"3,keyasint"`
}

func hashRequest(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash never refuses
	return h.Sum64()
}

func (m *requestMemory) remember(e *eventlog.Event, seq uint64) {
	m.forget(e.Time - eventlog.Time(RequestMemory.Milliseconds()))
	if !eventlog.Remembered(e.Cause) {
		return
	}
	m.add(request{hashRequest(e.Cause), seq, e.Time})
}

func (m *requestMemory) add(r request) {
	if m.byID == nil {
		m.byID = map[uint64][]uint64{}
	}
	seqs := m.byID[r.Hash]
	if n := len(seqs); n > 0 && seqs[n-1] == r.Seq {
		return
	}
	m.byID[r.Hash] = append(seqs, r.Seq)
	m.queue = append(m.queue, r)
}

func (m *requestMemory) forget(before eventlog.Time) {
	n := 0
	for n < len(m.queue) && m.queue[n].Time < before {
		r := m.queue[n]
		if rest := m.byID[r.Hash][1:]; len(rest) > 0 {
			m.byID[r.Hash] = rest
		} else {
			delete(m.byID, r.Hash)
		}
		n++
	}
	m.queue = m.queue[n:] // what is cut off goes with the next growth
}

// settle replaces a pending sequence. Pending ones are at the queue's end.
func (m *requestMemory) settle(pending, seq uint64) {
	for n := len(m.queue) - 1; n >= 0; n-- {
		r := &m.queue[n]
		if _, waits := IsPending(r.Seq); !waits {
			return
		}
		if r.Seq != pending {
			continue
		}
		r.Seq = seq
		for k, s := range m.byID[r.Hash] {
			if s == pending {
				m.byID[r.Hash][k] = seq
			}
		}
	}
}

func (m *requestMemory) find(id string) []uint64 { return m.byID[hashRequest(id)] }
