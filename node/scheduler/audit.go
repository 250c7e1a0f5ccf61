package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/eventlog"
)

// hashesMax bounds the comparisons under way; older ones are given up.
const hashesMax = 64

// partitionHash is what a node made of one partition, of all events up to a
// sequence: that of the sequences at which all nodes look.
type partitionHash struct {
	Node      string `json:"node"`
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Partition int    `json:"partition"`
	Sum       string `json:"sum"` // SHA-256 of the partition's snapshot, in hex
}

// comparison gathers what nodes say of one sequence.
type comparison struct {
	partition int
	since     time.Time
	sums      map[string]string // node → sum
}

// object notes the auditor's first objection: from now on nothing is claimed.
func (s *Scheduler) object(objection error) {
	if objection != nil && s.objection.CompareAndSwap(nil, &objection) {
		s.log.Error("the log holds what must not be: nothing is claimed any more; restore a backup or ask for help", "objection", objection)
	}
}

// hashSubject is where a node says what it made of a partition.
func (s *Scheduler) hashSubject(node string) string { return s.cfg.Prefix.String() + ".hash." + node }

// compareAt tells the other nodes the hash of a partition at each AuditEvery-th
// sequence, one partition after the other, if no commit of ours that is not yet
// folded holds anything of it: then its state is a prefix of the log.
func (s *Scheduler) compareAt(seq uint64) {
	if s.cfg.Alone || seq%s.cfg.AuditEvery != 0 {
		return
	}
	p := int(seq / s.cfg.AuditEvery % eventlog.Partitions)
	if s.settled([]int{p}) < 0 {
		return
	}
	body, err := s.state.Partition(p).Encode()
	if err != nil {
		s.object(fmt.Errorf("P1: partition %d cannot be encoded at sequence %d: %w", p, seq, err))
		return
	}
	sum := sha256.Sum256(body)
	h := partitionHash{s.cfg.Node, s.cfg.Stream, seq, p, hex.EncodeToString(sum[:])}
	s.note(h)
	if body, err = json.Marshal(h); err == nil {
		err = s.cfg.Bus.Publish(s.hashSubject(s.cfg.Node), body)
	}
	if err != nil {
		s.log.Warn("a partition's hash could not be sent", "seq", seq, "error", err)
	}
}

// hashed is another node's word.
type hashed struct{ partitionHash }

func (s *Scheduler) hearHash(_ string, body []byte) {
	var h partitionHash
	if json.Unmarshal(body, &h) == nil && h.Node != s.cfg.Node && h.Stream == s.cfg.Stream {
		s.post(hashed{h})
	}
}

func (m hashed) handle(s *Scheduler) { s.note(m.partitionHash) }

// note keeps what a node says until all had the time to.
func (s *Scheduler) note(h partitionHash) {
	c := s.hashes[h.Seq]
	if c == nil {
		if len(s.hashes) >= hashesMax {
			clear(s.hashes)
		}
		c = &comparison{partition: h.Partition, since: time.Now(), sums: map[string]string{}}
		s.hashes[h.Seq] = c
	}
	c.sums[h.Node] = h.Sum
}

// compare judges what was gathered: a node that is alone with what it made of a
// partition, or one of as many as disagree with it, cannot trust itself.
func (s *Scheduler) compare() {
	for seq, c := range s.hashes {
		if time.Since(c.since) < 2*s.cfg.Housekeeping {
			continue
		}
		delete(s.hashes, seq)
		ours, known := c.sums[s.cfg.Node]
		if !known {
			continue
		}
		var differ []string
		for node, sum := range c.sums {
			if sum != ours {
				differ = append(differ, node)
			}
		}
		slices.Sort(differ)
		switch {
		case 2*len(differ) >= len(c.sums):
			s.object(fmt.Errorf("P1: partition %d is not at sequence %d what nodes %v made of it", c.partition, seq, differ))
		case len(differ) > 0:
			s.log.Error("other nodes made something else of a partition than most", "partition", c.partition, "seq", seq, "nodes", differ)
		}
	}
}
