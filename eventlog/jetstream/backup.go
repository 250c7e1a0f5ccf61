package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
)

const (
	// chunkBytes is how much of a backup one message carries: below the 1 MB that
	// a server takes.
	chunkBytes = 256 << 10
	// chunkPatience bounds the wait for a chunk, and for its acknowledgement.
	chunkPatience = 10 * time.Second
	// heardPatience is how long the first chunk may find nobody that listens: the
	// server which takes it may be another one, to which that has yet to spread.
	heardPatience = 5 * time.Second
	// unpackPatience bounds the wait for a server to unpack a backup of any size,
	// and unpackSlowest, in bytes a second, is what it gets more time for.
	unpackPatience = time.Minute
	unpackSlowest  = 10 << 20
)

// Saved is what Save wrote of a stream.
type Saved struct {
	Stream string          `json:"stream"`
	Config js.StreamConfig `json:"config"`
	State  json.RawMessage `json:"state"` // as the server told it
	Bytes  int64           `json:"bytes"`
	SHA256 string          `json:"sha256"` // of these bytes, in hexadecimal
}

// Save writes a backup of a stream, in the server's own form, without consumers.
// The server compares each message with its checksum first. It returns
// ErrNoStream if there is no such stream. Nothing should be appended meanwhile:
// how much of that is in the backup is not defined.
func Save(ctx context.Context, nc *nats.Conn, stream string, to io.Writer) (Saved, error) {
	chunks, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return Saved{}, err
	}
	defer func() { _ = chunks.Unsubscribe() }() // fails only when the connection is closed
	var begun struct {
		Error  *apiError       `json:"error"`
		Config js.StreamConfig `json:"config"`
		State  json.RawMessage `json:"state"`
	}
	err = call(ctx, nc, "$JS.API.STREAM.SNAPSHOT."+stream, map[string]any{
		"deliver_subject": chunks.Subject, "no_consumers": true, "chunk_size": chunkBytes, "jsck": true,
	}, &begun)
	switch {
	case err != nil:
		return Saved{}, fmt.Errorf("back up stream %s: %w", stream, err)
	case begun.Error != nil && begun.Error.ErrCode == noStream:
		return Saved{}, fmt.Errorf("back up stream %s: %w", stream, ErrNoStream)
	case begun.Error != nil:
		return Saved{}, fmt.Errorf("back up stream %s: %w", stream, begun.Error)
	}
	saved, sum := Saved{Stream: stream, Config: begun.Config, State: begun.State}, sha256.New()
	to = io.MultiWriter(to, sum)
	for {
		m, err := nextChunk(ctx, chunks)
		if err != nil {
			return Saved{}, fmt.Errorf("back up stream %s: %w", stream, err)
		}
		if len(m.Data) == 0 { // the end, good or bad
			if status := m.Header.Get("Status"); status != "" && status != "204" {
				return Saved{}, fmt.Errorf("back up stream %s: the server gave up: %s %s", stream, status, m.Header.Get("Description"))
			}
			saved.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return saved, nil
		}
		if _, err := to.Write(m.Data); err != nil {
			return Saved{}, fmt.Errorf("back up stream %s: %w", stream, err)
		}
		saved.Bytes += int64(len(m.Data))
		if m.Reply == "" {
			continue // the last one is not waited for
		}
		if err := m.Respond(nil); err != nil {
			return Saved{}, fmt.Errorf("back up stream %s: %w", stream, err)
		}
	}
}

func nextChunk(ctx context.Context, chunks *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, chunkPatience)
	defer cancel()
	return chunks.NextMsgWithContext(ctx)
}

// ErrNotAsSaved says that a backup is not what Save wrote.
var ErrNotAsSaved = errors.New("the backup is damaged")

// Check reads a backup and compares it with its checksum: ErrNotAsSaved if it is
// another.
func (s Saved) Check(from io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(sum, from)
	if err != nil {
		return err
	}
	if found := hex.EncodeToString(sum.Sum(nil)); n != s.Bytes || found != s.SHA256 {
		return fmt.Errorf("%w: stream %s has %d bytes with SHA-256 %s and must have %d with %s", ErrNotAsSaved, s.Stream, n, found, s.Bytes, s.SHA256)
	}
	return nil
}

// Marked is s with words that tell the stream which is restored from it from any
// other of its name: "restored at …". They need be new each time.
func (s Saved) Marked(words string) Saved {
	s.Config.Metadata = maps.Clone(s.Config.Metadata)
	if s.Config.Metadata == nil {
		s.Config.Metadata = map[string]string{}
	}
	s.Config.Metadata[madeKey] = words
	return s
}

// Restore makes a stream of a backup, on as many servers as Config.Replicas says.
// There must be none of that name. It returns when the server that was chosen to
// begin with holds all; the others follow. After an error half a stream may be
// there: Remove it before the next try.
func Restore(ctx context.Context, nc *nats.Conn, saved Saved, from io.Reader) error {
	var begun struct {
		Error   *apiError `json:"error"`
		Deliver string    `json:"deliver_subject"`
	}
	err := call(ctx, nc, "$JS.API.STREAM.RESTORE."+saved.Stream, map[string]any{"config": saved.Config, "state": saved.State}, &begun)
	if err == nil && begun.Error != nil {
		err = begun.Error
	}
	for chunk, first := make([]byte, chunkBytes), true; err == nil; first = false {
		var n int
		if n, err = io.ReadFull(from, chunk); n == 0 {
			break
		}
		if err = give(ctx, nc, begun.Deliver, chunk[:n], first); err != nil {
			return fmt.Errorf("restore stream %s: %w", saved.Stream, err)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("restore stream %s: %w", saved.Stream, err)
	}
	if err := end(ctx, nc, begun.Deliver, unpackWithin(saved.Bytes)); err != nil {
		return fmt.Errorf("restore stream %s: %w", saved.Stream, err)
	}
	return nil
}

func unpackWithin(bytes int64) time.Duration {
	return unpackPatience + time.Duration(bytes/unpackSlowest)*time.Second
}

// end says that all chunks were given. The answer comes when the server has
// unpacked them, and never from one that was stopped meanwhile.
func end(ctx context.Context, nc *nats.Conn, to string, within time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := answered(nc.RequestWithContext(waiting, to, nil))
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("the server has taken all and not said within %s that it has unpacked it: it may have been stopped", within)
	}
	return err
}

// give hands a chunk over.
func give(ctx context.Context, nc *nats.Conn, to string, chunk []byte, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, chunkPatience)
	defer cancel()
	for begun := time.Now(); ; {
		reply, err := nc.RequestWithContext(ctx, to, chunk)
		if !first || !errors.Is(err, nats.ErrNoResponders) || time.Since(begun) > heardPatience {
			return answered(reply, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askAgain / 10):
		}
	}
}

// answered is what an acknowledgement says against it.
func answered(reply *nats.Msg, err error) error {
	if err != nil || len(reply.Data) == 0 {
		return err
	}
	var said struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &said); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	if said.Error != nil {
		return said.Error
	}
	return nil
}

// Remove deletes a stream, whole or half restored; that there is none is as good.
// It destroys: the caller knows that nothing of the stream counts yet.
func Remove(ctx context.Context, nc *nats.Conn, stream string) error {
	var done struct {
		Error *apiError `json:"error"`
	}
	err := call(ctx, nc, "$JS.API.STREAM.DELETE."+stream, nil, &done)
	if err == nil && done.Error != nil && done.Error.ErrCode != noStream {
		err = done.Error
	}
	if err != nil {
		return fmt.Errorf("delete stream %s: %w", stream, err)
	}
	return nil
}

// call asks the server's API once.
func call(ctx context.Context, nc *nats.Conn, subject string, request, response any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, chunkPatience)
	defer cancel()
	reply, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply.Data, response); err != nil {
		return fmt.Errorf("the server's answer is not understood: %w", err)
	}
	return nil
}

// HandOn has the named server lead a stream. It returns when the present leader
// has begun to hand over.
func HandOn(ctx context.Context, nc *nats.Conn, stream, to string) error {
	var done struct {
		Error *apiError `json:"error"`
	}
	err := call(ctx, nc, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, map[string]any{"placement": map[string]any{"preferred": to}}, &done)
	if err == nil && done.Error != nil {
		err = done.Error
	}
	if err != nil {
		return fmt.Errorf("have %s lead stream %s: %w", to, stream, err)
	}
	return nil
}
