package memlog

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/belfryhq/belfry/eventlog"
)

// stream is what is stored. Its first sequence is always 1.
type stream struct {
	mu sync.Mutex
	// messages by sequence, the first at index 0. One with Seq 0 is a hole.
	messages []eventlog.Message
	// lanes holds each lane's sequences, ascending.
	lanes map[string][]uint64
	holes uint64
	bytes uint64
	// grown is closed and replaced when anything changes.
	grown chan struct{}
}

func newStream() *stream {
	return &stream{lanes: map[string][]uint64{}, grown: make(chan struct{})}
}

// append stores a commit if its expectation is met.
func (s *stream) append(lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	if in := s.lanes[lane]; len(in) > 0 {
		last = in[len(in)-1]
	}
	switch {
	case expect.Empty && len(s.messages) > 0, !expect.Empty && last > expect.LaneSeq:
		return 0, eventlog.ErrOccupied
	case !expect.Empty && last < expect.LaneSeq:
		return 0, fmt.Errorf("%w: the lane ends at sequence %d, before the expected %d", eventlog.ErrUnknown, last, expect.LaneSeq)
	}
	seq := uint64(len(s.messages)) + 1
	s.messages = append(s.messages, eventlog.Message{Seq: seq, Lane: lane, ID: id, Body: bytes.Clone(body)})
	s.lanes[lane] = append(s.lanes[lane], seq)
	s.bytes += uint64(len(body))
	s.changed()
	return seq, nil
}

// changed wakes the followers. The lock is held.
func (s *stream) changed() {
	close(s.grown)
	s.grown = make(chan struct{})
}

// get is the message at seq, false if there is none.
func (s *stream) get(seq uint64) (eventlog.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(seq)
}

// at is get with the lock held.
func (s *stream) at(seq uint64) (eventlog.Message, bool) {
	if seq == 0 || seq > uint64(len(s.messages)) || s.messages[seq-1].Seq == 0 {
		return eventlog.Message{}, false
	}
	return s.messages[seq-1], true
}

// next is the first message of a lane at or after seq, false if there is none.
func (s *stream) next(lane string, seq uint64) (eventlog.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.lanes[lane]
	i, _ := slices.BinarySearch(in, seq)
	if i == len(in) {
		return eventlog.Message{}, false
	}
	return s.at(in[i])
}

func (s *stream) info() eventlog.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := uint64(len(s.messages))
	return eventlog.Info{FirstSeq: 1, LastSeq: n, Messages: n - s.holes, Deleted: s.holes, Bytes: s.bytes, Replicas: 1, Heard: 1}
}

// wait is the message at seq or, if it is not stored yet, a channel that is
// closed when something changed. A hole, and an end before delivered, is
// ErrDamaged.
func (s *stream) wait(seq, delivered uint64) (eventlog.Message, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := uint64(len(s.messages))
	if last < delivered {
		return eventlog.Message{}, nil, fmt.Errorf("%w: it ends at sequence %d, but %d was delivered", eventlog.ErrDamaged, last, delivered)
	}
	if seq > last {
		return eventlog.Message{}, s.grown, nil
	}
	m, ok := s.at(seq)
	if !ok {
		return m, nil, fmt.Errorf("%w: sequence %d cannot be read", eventlog.ErrDamaged, seq)
	}
	return m, nil, nil
}

// Truncate takes away every message after seq, as a server does that cannot
// read on from there after a restart.
func (l *Log) Truncate(seq uint64) {
	s := l.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	for uint64(len(s.messages)) > seq {
		i := len(s.messages) - 1
		s.remove(uint64(i) + 1)
		if s.messages[i].Seq == 0 {
			s.holes--
		}
		s.messages = s.messages[:i]
	}
	s.changed()
}

// Drop makes a hole at seq, as a flipped bit does.
func (l *Log) Drop(seq uint64) {
	s := l.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(seq)
	s.changed()
}

// remove makes a hole, once. The lock is held.
func (s *stream) remove(seq uint64) {
	m, ok := s.at(seq)
	if !ok {
		return
	}
	s.lanes[m.Lane] = slices.DeleteFunc(s.lanes[m.Lane], func(in uint64) bool { return in == seq })
	s.bytes -= uint64(len(m.Body))
	s.holes++
	s.messages[seq-1] = eventlog.Message{}
}
