package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// The flags that give a server its addresses: errors name them.
const (
	flagClients = "--nats-addr"
	flagRoutes  = "--cluster-addr"
)

// example is an address to give with a flag.
func example(flag string) string {
	if flag == flagRoutes {
		return "127.0.0.1:6222"
	}
	return defaultAddr
}

// splitLoopback takes addr apart. A host name other than "localhost" is not
// looked up: what a resolver says today it may not say tomorrow.
func splitLoopback(addr, flag string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("nats address %q is not host:port: give one like %s with %s", addr, example(flag), flag)
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("nats address %q has no valid port: give one like %s with %s", addr, example(flag), flag)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("nats address %q is not a loopback address: Belfry has no security yet, so only loopback is served; give one like %s with %s", addr, example(flag), flag)
	}
	return host, port, nil
}

// probe finds out whether the address can be listened on, before anything in
// the store is touched.
func probe(host string, port int, flag string) error {
	if port <= 0 {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return listenError(host, port, flag, err)
	}
	return listener.Close()
}

func listenError(host string, port int, flag string, err error) error {
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("nats address %s is taken: stop the other program or choose another with %s", addr, flag)
	}
	return fmt.Errorf("nats address %s cannot be listened on: %w; choose another with %s", addr, err, flag)
}
