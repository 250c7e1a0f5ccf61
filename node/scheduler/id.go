package scheduler

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/eventlog"
)

// idSource draws ids. It is safe for concurrent use.
type idSource struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
}

func newIDSource() *idSource { return &idSource{entropy: ulid.Monotonic(rand.Reader, 0)} }

// ULID draws one that sorts after those drawn before in the same millisecond.
func (i *idSource) ULID(t time.Time) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(t), i.entropy)
	if err != nil { // the millisecond is full: 2^80 ids
		id = ulid.MustNew(ulid.Timestamp(t), rand.Reader)
	}
	return id.String()
}

// DrawCause draws the cause of a request that brought no id.
func (s *Scheduler) DrawCause() string { return eventlog.GeneratedCause + s.ids.ULID(time.Now()) }

// eventID is unique in the stream: the commit's id and the event's place in it.
func eventID(commit string, place int) string { return commit + "." + strconv.Itoa(place) }

// DrawID draws an id with a prefix. With a request id, the id falls into the
// partition of the request, so that a repetition of it is recognised there;
// else into one of this node's own, if it has any, so that it is decided here.
func (s *Scheduler) DrawID(prefix, requestID string) string {
	if requestID != "" {
		return prefix + drawInto(eventlog.HashPartition(requestID))
	}
	id := s.ids.ULID(time.Now())
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := eventlog.HashPartition(id)
	for n := range eventlog.Partitions {
		if p := (p + n) % eventlog.Partitions; s.owns(p) {
			if n > 0 {
				id = drawInto(p)
			}
			break
		}
	}
	return prefix + id
}

// DrawRun draws the id of a run that lives in a partition: its trigger's.
func (s *Scheduler) DrawRun(partition int) string { return eventlog.PrefixRun + drawInto(partition) }

// drawInto draws a ULID that falls into a partition.
func drawInto(partition int) string {
	// The last two characters of a ULID are ten random bits: as many tries,
	// for 64 partitions. Should none fit, another draw will.
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	for {
		id := []byte(ulid.MustNew(ulid.Timestamp(time.Now()), rand.Reader).String())
		for try := range len(alphabet) * len(alphabet) {
			id[24], id[25] = alphabet[try/len(alphabet)], alphabet[try%len(alphabet)]
			if eventlog.HashPartition(string(id)) == partition {
				return string(id)
			}
		}
	}
}
