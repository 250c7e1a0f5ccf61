package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/node/api"
)

func removeVerb() verb {
	n := noun[api.Removal]{"cluster", "NAME", []column[api.Removal]{
		{"NODE", func(r api.Removal) string { return r.Name }},
		{"ROLE", func(r api.Removal) string { return r.Role }},
		{"STEP", func(r api.Removal) string { return string(r.Step) }},
		{"PARTITIONS", func(r api.Removal) string { return strconv.Itoa(r.Partitions) }},
	}}
	return n.asks(verb{
		name: "remove", takes: n.takes,
		usage:   "have a node leave for good, dead or alive; repeat it to see how far that is",
		example: "belfry cluster remove n4",
	}, func(_ context.Context, s *session) (any, error) { return api.ClusterRemove{Name: s.arg()}, nil })
}

func transferVerb() verb {
	n := noun[api.Transferred]{"cluster", "[NAME]", []column[api.Transferred]{
		{"LEADER", func(t api.Transferred) string { return t.Leader }},
	}}
	return n.asks(verb{
		name: "transfer", takes: n.takes, usage: "have another node lead, the one that is named or any",
		example: "belfry cluster transfer n2",
	}, func(_ context.Context, s *session) (any, error) { return api.ClusterTransfer{To: s.arg()}, nil })
}

func joinVerb() verb {
	return verb{
		name: "join", usage: "print the command that starts a further node, which joins by itself",
		example: "belfry cluster join",
		do: func(ctx context.Context, s *session) error {
			raw, err := s.ask(ctx, "cluster", "status", struct{}{})
			if err != nil {
				return err
			}
			status, err := read[api.ClusterStatus](raw)
			if err != nil {
				return err
			}
			j, err := further(status)
			if err != nil {
				return err
			}
			if prefix := s.line.String("prefix"); prefix != string(api.DefaultPrefix) {
				j.Command += " --prefix " + prefix
			}
			if !s.json() {
				_, err := fmt.Fprintln(s.out, j.Command)
				return err
			}
			raw, err = json.Marshal(j)
			return errors.Join(err, s.printJSON(raw))
		},
	}
}

// joining is how a further node is started.
type joining struct {
	Name    string   `json:"name"`
	Join    []string `json:"join"`
	Command string   `json:"command"`
}

const (
	// portsTried is how many numbers above the members' ports are looked at.
	portsTried = 1000
	// routePort is the default of --cluster-addr, where the status tells no port.
	routePort = 6222
	// here stands for an address of a machine that we do not know.
	here = "THIS_MACHINE"
)

// further is how a node that joins the others is started: on this machine if they
// are, under ports that are free.
func further(status api.ClusterStatus) (joining, error) {
	j := joining{Name: freeName(status)}
	var nats, http, raft int
	onLoopback := true
	for _, n := range status.Nodes {
		if n.Role != api.RoleLeaving {
			j.Join = append(j.Join, n.Raft)
		}
		host, port := apart(n.Raft)
		onLoopback = onLoopback && net.ParseIP(host).IsLoopback()
		raft = max(raft, port)
		if !status.ExternalNATS {
			_, port = apart(strings.TrimPrefix(n.NATS, "nats://"))
			nats = max(nats, port)
		}
		_, port = apart(n.HTTP)
		http = max(http, port)
	}
	if len(status.Nodes) < 2 && !status.ExternalNATS {
		return j, errors.New("this node is alone and no cluster that another could join: a cluster begins with three, see belfry node --help")
	}
	host, insecure, up := here, " --insecure", 0
	if onLoopback {
		host, insecure = "127.0.0.1", ""
		ports := []int{http, raft, nats, routePort}
		if status.ExternalNATS {
			ports = ports[:2]
		}
		for up = 1; up < portsTried && !free(up, ports...); up++ {
		}
	}
	at := func(port int) string { return net.JoinHostPort(host, strconv.Itoa(port+up)) }
	meet, route := "--nats-addr "+at(nats), " --cluster-addr "+at(routePort)
	if status.ExternalNATS { // with the user that it wants, which we do not know
		meet, route = "--nats "+status.Nodes[0].NATS, ""
	}
	j.Command = fmt.Sprintf("belfry node --name %s --data ./data/%s --join %s %s --http-addr %s --raft-addr %s%s%s",
		j.Name, j.Name, strings.Join(j.Join, ","), meet, at(http), at(raft), route, insecure)
	return j, nil
}

// freeName is a name that no member has or had, counting on where they count.
func freeName(status api.ClusterStatus) string {
	taken := slices.Clone(status.Removed)
	for _, n := range status.Nodes {
		taken = append(taken, n.Name)
	}
	prefix, last := "n", 0
	for _, name := range taken {
		stem := strings.TrimRight(name, "0123456789")
		if number, err := strconv.Atoi(name[len(stem):]); err == nil && number >= last {
			prefix, last = cmp.Or(stem, prefix), number
		}
	}
	for next := last + 1; ; next++ {
		if name := prefix + strconv.Itoa(next); !slices.Contains(taken, name) {
			return name
		}
	}
}

// apart takes an address apart; a port that is none is 0.
func apart(addr string) (host string, port int) {
	host, text, _ := net.SplitHostPort(addr)
	port, _ = strconv.Atoi(text)
	return host, port
}

// free says whether nobody on this machine listens so many above these ports.
func free(up int, ports ...int) bool {
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+up)))
		if err != nil {
			return false
		}
		_ = l.Close() // it was only tried
	}
	return true
}
