package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/testing/check"
)

// Stream is the event stream of a Belfry with the default prefix.
const Stream = "BELFRY_EVENTS"

// LastSeq is the last sequence of the event stream, as any client may ask.
func LastSeq(t testing.TB, nc *nats.Conn) uint64 { t.Helper(); return lastSeqOf(t, nc, Stream) }

func lastSeqOf(t testing.TB, nc *nats.Conn, stream string) uint64 {
	t.Helper()
	m, err := nc.Request("$JS.API.STREAM.INFO."+stream, nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		State struct {
			LastSeq uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := json.Unmarshal(m.Data, &info); err != nil || info.State.LastSeq == 0 {
		t.Fatalf("stream info %s: %v", m.Data, err)
	}
	return info.State.LastSeq
}

// Commits reads the whole stream, each message by its sequence, as any client may.
func Commits(t testing.TB, nc *nats.Conn) []check.Commit { t.Helper(); return CommitsOf(t, nc, Stream) }

// CommitsOf is Commits of the stream of a Belfry with another prefix.
func CommitsOf(t testing.TB, nc *nats.Conn, stream string) (all []check.Commit) {
	t.Helper()
	for last := lastSeqOf(t, nc, stream); uint64(len(all)) < last; last = lastSeqOf(t, nc, stream) {
		all = append(all, commitsOf(t, nc, stream, uint64(len(all))+1, last)...)
	}
	return all
}

// CommitsTo is Commits up to a sequence.
func CommitsTo(t testing.TB, nc *nats.Conn, last uint64) []check.Commit {
	t.Helper()
	return commitsOf(t, nc, Stream, 1, last)
}

// asking is how many messages are asked for at once.
const asking = 16

// commitsOf is the messages of a stream from a sequence to another.
func commitsOf(t testing.TB, nc *nats.Conn, stream string, first, last uint64) []check.Commit {
	t.Helper()
	all := make([]check.Commit, last-first+1)
	errs := make([]error, asking)
	var askers sync.WaitGroup
	for a := range asking {
		askers.Go(func() {
			for k := a; k < len(all) && errs[a] == nil; k += asking {
				all[k], errs[a] = commitOf(nc, stream, first+uint64(k))
			}
		})
	}
	askers.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return all
}

// notNow is the code of an answer that a server gives for its NATS cluster while it
// knows of nobody who leads that: one that was cut off a moment ago speaks before
// those that know better.
const notNow = 503

// commitOf is one message of a stream.
func commitOf(nc *nats.Conn, stream string, seq uint64) (check.Commit, error) {
	const tries, every = 100, 100 * time.Millisecond
	for range tries {
		if c, there, err := tryCommit(nc, stream, seq); there || err != nil {
			return c, err
		}
		time.Sleep(every) // real processes, real time
	}
	return check.Commit{}, fmt.Errorf("message %d of %s cannot be read for %v", seq, stream, tries*every)
}

func tryCommit(nc *nats.Conn, stream string, seq uint64) (c check.Commit, there bool, err error) {
	m, err := nc.Request("$JS.API.STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"seq":%d}`, seq), 10*time.Second)
	if err != nil {
		return c, false, err
	}
	var got struct {
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Data    []byte `json:"data"` // base64
		} `json:"message"`
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	switch err := json.Unmarshal(m.Data, &got); {
	case err != nil:
		return c, false, fmt.Errorf("message %d of %s is answered %s: %w", seq, stream, m.Data, err)
	case got.Error.Code == notNow:
		return c, false, nil
	case got.Message.Seq != seq:
		return c, false, fmt.Errorf("message %d of %s is answered %s", seq, stream, m.Data)
	}
	return check.Commit{Seq: seq, Subject: got.Message.Subject, Body: got.Message.Data}, true, nil
}

// Judge reads the stream and lets the judge decide. Violations fail the test.
func Judge(t testing.TB, nc *nats.Conn) *check.Verdict {
	t.Helper()
	v := check.Log(Commits(t, nc))
	Report(t, v)
	return v
}

// Report fails the test with the first violations.
func Report(t testing.TB, v *check.Verdict) {
	t.Helper()
	for n, violation := range v.Violations {
		if n == 20 {
			t.Errorf("and %d more violations", len(v.Violations)-n)
			break
		}
		t.Error(violation)
	}
}

// Journal counts the lines that functions wrote to a file, by their first word.
func Journal(t testing.TB, file string) map[string]int {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	wrote := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		wrote[word]++
	}
	return wrote
}
