package cluster

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
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

// Commits reads the whole stream, message by message, as any client may.
func Commits(t testing.TB, nc *nats.Conn) []check.Commit { t.Helper(); return CommitsOf(t, nc, Stream) }

// CommitsOf is Commits of the stream of a Belfry with another prefix.
func CommitsOf(t testing.TB, nc *nats.Conn, stream string) []check.Commit {
	t.Helper()
	var all []check.Commit
	for seq := uint64(1); seq <= lastSeqOf(t, nc, stream); seq++ {
		all = append(all, commitOf(t, nc, stream, seq))
	}
	return all
}

// CommitsTo is Commits up to a sequence.
func CommitsTo(t testing.TB, nc *nats.Conn, last uint64) (all []check.Commit) {
	t.Helper()
	for seq := uint64(1); seq <= last; seq++ {
		all = append(all, commitOf(t, nc, Stream, seq))
	}
	return all
}

// notNow is the code of an answer that a server gives for its NATS cluster while it
// knows of nobody who leads that: one that was cut off a moment ago speaks before
// those that know better.
const notNow = 503

// commitOf is one message of a stream.
func commitOf(t testing.TB, nc *nats.Conn, stream string, seq uint64) check.Commit {
	t.Helper()
	const tries, every = 100, 100 * time.Millisecond
	for range tries {
		if c, there := tryCommit(t, nc, stream, seq); there {
			return c
		}
		time.Sleep(every) // real processes, real time
	}
	t.Fatalf("message %d of %s cannot be read for %v", seq, stream, tries*every)
	return check.Commit{}
}

func tryCommit(t testing.TB, nc *nats.Conn, stream string, seq uint64) (c check.Commit, there bool) {
	t.Helper()
	m, err := nc.Request("$JS.API.STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"seq":%d}`, seq), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Data    string `json:"data"`
		} `json:"message"`
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	err = json.Unmarshal(m.Data, &got)
	if err == nil && got.Error.Code == notNow {
		return c, false
	}
	if err != nil || got.Message.Seq != seq {
		t.Fatalf("message %d of %s is answered %s %v", seq, stream, m.Data, err)
	}
	body, err := base64.StdEncoding.DecodeString(got.Message.Data)
	if err != nil {
		t.Fatal(err)
	}
	return check.Commit{Seq: got.Message.Seq, Subject: got.Message.Subject, Body: body}, true
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
