package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

func TestGarbageAndSlowCallersDoNotDisturbRaft(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3).steady()
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	leader := s.leader()
	term := leader.raft.CurrentTerm()
	for _, text := range []string{
		"GET / HTTP/1.1\r\n\r\n", "\x00\x82\xa4junk", "\x02" + strings.Repeat("x", 100), "B", "B{", "Bnull", "B[]\n", "R", "R{}\n", "R\n",
		"R" + strings.Repeat("x", 2*greetingBytesMax), "B\"" + strings.Repeat("x", 2*meetingBytesMax), `B{"v":1,"ask":"moon"}`, `B{"v":1,"ask":"apply"}`,
	} {
		for _, c := range s.all() {
			conn, err := net.Dial("tcp", c.Addr())
			no(t, err)
			defer conn.Close()
			_, _ = io.WriteString(conn, text)
		}
	}
	for range 2 * strangersMax { // more than are served; they say nothing
		conn, err := net.Dial("tcp", leader.Addr())
		no(t, err)
		defer conn.Close()
	}
	for range 20 {
		no(t, leader.PutMember(t.Context(), Member{Name: "n1"}))
	}
	if s.leader() != leader || leader.raft.CurrentTerm() != term {
		t.Fatal("the leader was replaced")
	}
	s.eventually("the silent ones are gone", func() bool { return len(leader.port.strangers) == 0 })
}

func TestAnotherVersionIsRefusedInWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.up(0, "n1")
	conn, err := net.Dial("tcp", s.node("n1").Addr())
	no(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, `B{"v":2,"ask":"hello","self":{"name":"n9"}}`)
	no(t, err)
	var a answer
	no(t, json.NewDecoder(conn).Decode(&a))
	if a.OK || !strings.Contains(a.Refused, "run the same release") {
		t.Fatalf("answer: %+v", a)
	}

	// One of another version answers.
	other, err := net.Listen("tcp", "127.0.0.1:0")
	no(t, err)
	p := openPort(other, other.Addr().String(), s.node("n1").cfg.Logger)
	p.serve(func(greeting) error { return nil }, func(question) answer { return answer{V: 2} })
	t.Cleanup(p.close)
	cfg := s.place("n2")
	cfg.Join, cfg.Expect = []string{p.addr}, 2
	if _, err := s.try(cfg); !errors.Is(err, ErrMixed) || !strings.Contains(err.Error(), "run the same release") {
		t.Fatalf("error: %v", err)
	}
}

// The members call a node under the host that it advertises, at its port.
func TestTheAdvertisedHostIsCalled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	for name, cfg := range s.cfgs {
		_, port, err := net.SplitHostPort(cfg.Addr)
		no(t, err)
		cfg.Addr, cfg.Advertise, cfg.Insecure, cfg.listener = "0.0.0.0:"+port, "127.0.9.1", true, nil
		no(t, s.cfgs[name].listener.Close())
		s.cfgs[name] = cfg
	}
	s.join = nil
	for name := range s.cfgs {
		_, port, err := net.SplitHostPort(s.cfgs[name].Addr)
		no(t, err)
		s.join = append(s.join, "127.0.9.1:"+port)
	}
	s.up(0, "n1", "n2", "n3")
	s.agrees("n1", "n2", "n3")
	for name, m := range s.leader().State().Members {
		host, _, err := net.SplitHostPort(m.Raft)
		server, _ := s.leader().server(name)
		if err != nil || host != "127.0.9.1" || string(server.Address) != m.Raft {
			t.Errorf("%s is called at %s, and known at %s", name, server.Address, m.Raft)
		}
	}
}

func TestConfigOfMeetingIsChecked(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"an address of a network to join", func(c *Config) { c.Join = []string{"10.1.2.3:7420"} }, "not a loopback address"},
		{"a bootstrap besides", func(c *Config) { c.Bootstrap = true }, "give Bootstrap, or Join and Expect"},
		{"no listener", func(c *Config) { c.DontListen = true }, "meets nobody"},
		{"no instance", func(c *Config) { c.Self.Instance = "" }, "set Self.Instance"},
		{"more than can meet", func(c *Config) { c.Expect = 3 }, "3 nodes are expected and 1 addresses given"},
		{"an advertised host of a network", func(c *Config) { c.Advertise = "10.1.2.3" }, "not a loopback address"},
		{"no address to be called at, advertised", func(c *Config) { c.Insecure, c.Advertise = true, "0.0.0.0" }, "none that others could call"},
		{"no address to be called at", func(c *Config) { c.Insecure, c.Addr = true, "0.0.0.0:7420" }, "none that others could call"},
	} {
		cfg := Config{Name: "n1", Dir: "x", Join: []string{"127.0.0.1:1"}, Self: Member{Instance: "i"}}
		test.change(&cfg)
		if err := cfg.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	cfg := Config{Name: "n1", Dir: "x", Addr: "10.1.2.3:7420", Insecure: true, Join: []string{"n2.example.com:7420"}, Self: Member{Instance: "i"}}
	no(t, cfg.WithDefaults().Validate())
	cfg.Addr, cfg.Advertise = "0.0.0.0:7420", "n1.example.com"
	no(t, cfg.WithDefaults().Validate())
}

func TestASecretIsNotPrinted(t *testing.T) {
	state := State{Secrets: map[string]Secret{"routes": "c2VjcmV0"}}
	command := putSecret{"routes", "c2VjcmV0"}
	bad := command
	bad.Secret = "c2VjcmV0!"
	refusal := bad.apply(new(State)).err
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("given", "secret", command.Secret)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", state, state, state), fmt.Sprintf("%v %+v %#v", command, command, command), log.String()} {
		if strings.Contains(text, "c2VjcmV0") || !strings.Contains(text, "(secret)") {
			t.Errorf("it is printed: %s", text)
		}
	}
	if !errors.Is(refusal, ErrRefused) || strings.Contains(refusal.Error(), "c2VjcmV0") {
		t.Errorf("refused with %v", refusal)
	}
}
