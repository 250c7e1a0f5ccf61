package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// place is a use of an address, with the words of its errors.
type place struct {
	what   string
	give   string // what to do about a wrong one
	choose string // what to do about one that is taken
}

var (
	clientPlace = place{
		what: "nats address", give: "give one like " + defaultAddr + " with --nats-addr",
		choose: "choose another with --nats-addr",
	}
	clusterPlace = place{
		what: "nats cluster address", give: "give one like 127.0.0.1:6222 as ClusterAddr",
		choose: "choose another as ClusterAddr",
	}
	routePlace = place{what: "nats route", give: "give the ClusterAddr of another server, like 127.0.0.1:6222"}
)

// split takes addr apart. Unless insecure addresses are allowed, a host name
// other than "localhost" is refused without looking it up: what a resolver says
// today it may not say tomorrow.
func (p place) split(addr string, insecure bool) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("%s %q is not host:port: %s", p.what, addr, p.give)
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("%s %q has no valid port: %s", p.what, addr, p.give)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if insecure {
		return host, port, nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("%s %q is not a loopback address: Belfry has no security yet, so only loopback is served; %s", p.what, addr, p.give)
	}
	return host, port, nil
}

// probe finds out whether the address can be listened on, before anything in
// the store is touched.
func (p place) probe(host string, port int) error {
	if port <= 0 {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return p.listenError(host, port, err)
	}
	return listener.Close()
}

func (p place) listenError(host string, port int, err error) error {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s %s is taken: stop the other program or %s", p.what, addr, p.choose)
	}
	return fmt.Errorf("%s %s cannot be listened on: %w; %s", p.what, addr, err, p.choose)
}
