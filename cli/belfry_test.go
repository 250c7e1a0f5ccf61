package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
)

// belfry stands for a server: it answers with the files of testdata/replies.
//
//	item.get.greet.json   the reply to item.get of greet (its id, name, cursor or after)
//	item.get.json         the reply to any other item.get
//
// Each line of a file is a reply; the last one is repeated. A reply that holds
// an error refuses.
type belfry struct {
	t     *testing.T
	url   string
	mu    sync.Mutex
	asked []string
	times map[string]int // by file

	onAsk  func(verb string) // called before each answer, if it is set
	silent bool              // there are no answers
}

func startBelfry(t *testing.T) *belfry {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.WaitForShutdown)
	t.Cleanup(s.Shutdown)
	b := &belfry{t: t, url: s.ClientURL(), times: map[string]int{}}
	nc, err := nats.Connect(b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("belfry.api.>", b.answer); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// What the world outside the test says must not matter.
	t.Setenv("BELFRY_NATS", b.url)
	t.Setenv("BELFRY_USER", "admin")
	return b
}

func (b *belfry) answer(msg *nats.Msg) {
	token := strings.Split(msg.Subject, ".")
	verb := token[3] + "." + token[4]
	reply := b.reply(verb, msg.Data)
	b.mu.Lock()
	line := token[2] + " " + verb + " " + string(msg.Data)
	if id := msg.Header.Get(api.HeaderRequestID); len(id) < 10 { // not a generated one
		line += " " + id
	}
	b.asked = append(b.asked, strings.TrimSpace(line))
	b.mu.Unlock()
	if b.onAsk != nil {
		b.onAsk(verb)
	}
	if b.silent {
		return
	}
	out := &nats.Msg{Data: []byte(reply)}
	var body api.ErrorBody
	if err := json.Unmarshal(out.Data, &body); err == nil && body.Error != nil && body.Error.Code != "" {
		out.Header = nats.Header{api.HeaderError: {body.Error.Message}, api.HeaderErrorCode: {"409"}}
	}
	_ = msg.RespondMsg(out) // a lost answer fails the test that waits for it
}

func (b *belfry) reply(verb string, request []byte) string {
	var key struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Cursor string `json:"cursor"`
		After  string `json:"after"`
	}
	_ = json.Unmarshal(request, &key) // create_many's has none
	for _, name := range []string{verb + "." + key.ID + key.Name + key.Cursor + key.After, verb} {
		file := filepath.Join("testdata", "replies", name+".json")
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			b.t.Error(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		b.mu.Lock()
		n := min(b.times[file], len(lines)-1)
		b.times[file]++
		b.mu.Unlock()
		return lines[n]
	}
	b.t.Errorf("testdata/replies has no answer to %s %s", verb, request)
	return `{}`
}

// forget gives what was asked since the last time, and begins each file anew.
func (b *belfry) forget() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := b.asked
	b.asked = nil
	clear(b.times)
	return asked
}
