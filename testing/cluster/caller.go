package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// socketsFile lists the connections of this machine over IPv4.
const socketsFile = "/proc/net/tcp"

var errNobody = errors.New("nobody holds the other end")

// caller is the --name of the belfry process of this test that holds the other end
// of a connection; "" is this process itself.
func caller(conn net.Conn) (name string, err error) {
	socket, err := socketOf(conn)
	if err != nil {
		return "", err
	}
	own := os.Getpid()
	if holds(own, socket) {
		return "", nil
	}
	for _, pid := range children(own) {
		if holds(pid, socket) {
			return nameOf(pid)
		}
	}
	return "", errNobody
}

// socketOf is the other end of a connection as /proc/PID/fd links to it.
func socketOf(conn net.Conn) (string, error) {
	theirs, err := hexAddr(conn.RemoteAddr())
	if err != nil {
		return "", err
	}
	ours, err := hexAddr(conn.LocalAddr())
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(socketsFile)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		// sl local_address rem_address st queues timer retransmits uid timeout inode
		if f := strings.Fields(line); len(f) > 9 && f[1] == theirs && f[2] == ours && f[9] != "0" {
			return "socket:[" + f[9] + "]", nil
		}
	}
	return "", errNobody
}

// hexAddr is an address as the file writes it: the bytes of the host as a number
// of this machine.
func hexAddr(addr net.Addr) (string, error) {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().Is4() {
		return "", fmt.Errorf("%s is no address of IPv4", addr)
	}
	ip := at.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), at.Port()), nil
}

// holds says whether a process has a file open.
func holds(pid int, file string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is a good one
	return slices.ContainsFunc(links, func(link string) bool {
		is, err := os.Readlink(link)
		return err == nil && is == file
	})
}

// children are the processes that a process started.
func children(parent int) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // likewise
	for _, stat := range all {
		raw, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid: the name may hold anything
		text := string(raw)
		after := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err == nil && len(after) > 1 && after[1] == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// nameOf is the --name in a process's line.
func nameOf(pid int) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", err
	}
	words := strings.Split(string(raw), "\x00")
	if at := slices.Index(words, "--name"); at >= 0 && at+1 < len(words) {
		return words[at+1], nil
	}
	return "", fmt.Errorf("process %d has no --name", pid)
}
