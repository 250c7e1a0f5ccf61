package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/projection"
)

// digest is what an event stream holds, and what it folds to. Two streams with
// the same digest are the same.
type digest struct {
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
	Messages uint64 `json:"messages"`
	// Content is the SHA-256 of all messages, in order: sequence, lane, id, body.
	Content string `json:"content"`
	// Cluster and Partitions are the SHA-256 of what is folded from them.
	Cluster    string                      `json:"cluster"`
	Partitions [eventlog.Partitions]string `json:"partitions"`
}

// errDigested ends a Follow that has read all.
var errDigested = errors.New("digested")

// digestOf reads a whole stream, of which nothing is appended meanwhile, and
// folds it. One that is shorter than remembered or has holes is
// eventlog.ErrDamaged.
func digestOf(ctx context.Context, log eventlog.Log, remembered uint64) (digest, error) {
	info, err := log.Info(ctx)
	if err != nil {
		return digest{}, err
	}
	if err := info.Check(max(remembered, 1)); err != nil {
		return digest{}, err
	}
	d := digest{FirstSeq: info.FirstSeq, LastSeq: info.LastSeq, Messages: info.Messages}
	state, content := projection.NewState(), sha256.New()
	err = log.Follow(ctx, info.FirstSeq, func(m eventlog.Message) error {
		if _, _, err := state.Fold(m); err != nil {
			return fmt.Errorf("message %d: %w", m.Seq, err)
		}
		for _, part := range [][]byte{binary.BigEndian.AppendUint64(nil, m.Seq), []byte(m.Lane), []byte(m.ID), m.Body} {
			_, _ = content.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // a hash never refuses
			_, _ = content.Write(part)
		}
		if m.Seq >= info.LastSeq {
			return errDigested
		}
		return nil
	})
	if !errors.Is(err, errDigested) {
		return digest{}, err
	}
	d.Content = hex.EncodeToString(content.Sum(nil))
	return d, d.take(state)
}

// begunLate is what is wrong with a stream whose first message is another one.
func begunLate(first uint64) error {
	return fmt.Errorf("%w: it begins at sequence %d, what was before it is gone: restore its files or a backup", eventlog.ErrDamaged, first)
}

// take hashes what was folded.
func (d *digest) take(state *projection.State) error {
	body, err := state.EncodeCluster()
	if err != nil {
		return err
	}
	d.Cluster = sum(body)
	for p := range d.Partitions {
		if body, err = state.Partition(p).Encode(); err != nil {
			return err
		}
		d.Partitions[p] = sum(body)
	}
	return nil
}

func sum(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}

// differs says in what other is not the same; "" in nothing.
func (d digest) differs(other digest) string {
	switch {
	case d.LastSeq != other.LastSeq || d.FirstSeq != other.FirstSeq || d.Messages != other.Messages:
		return fmt.Sprintf("it has %d messages from sequence %d to %d and must have %d from %d to %d",
			other.Messages, other.FirstSeq, other.LastSeq, d.Messages, d.FirstSeq, d.LastSeq)
	case d.Cluster != other.Cluster:
		return "what it says of nodes and owners is another thing"
	}
	for p := range d.Partitions {
		if d.Partitions[p] != other.Partitions[p] {
			return fmt.Sprintf("partition %d is another one", p)
		}
	}
	if d.Content != other.Content {
		return "its messages are others"
	}
	return ""
}
