package cluster

import (
	"bytes"
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
	"sync"
)

// socketsFile lists the connections of this machine over IPv4.
const socketsFile = "/proc/net/tcp"

// lineBytes is the length of a line of it, and a little more.
const lineBytes = 160

var errNobody = errors.New("nobody holds the other end")

// callers are the processes that were found to call: looking for them all takes
// longer than a busy machine has at each call.
type callers struct {
	mu    sync.Mutex // one look at a time
	names map[int]string
}

// of is the --name of the belfry process of this test that holds the other end of
// a connection; "" is this process itself.
func (c *callers) of(conn net.Conn) (name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	socket, err := socketOf(conn)
	if err != nil {
		return "", err
	}
	for pid, name := range c.names {
		if holds(pid, socket) {
			return name, nil
		}
	}
	own := os.Getpid()
	c.names = map[int]string{own: ""}
	for _, pid := range children(own) {
		if name, err := nameOf(pid); err == nil {
			c.names[pid] = name
		}
	}
	for pid, name := range c.names {
		if holds(pid, socket) {
			return name, nil
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
	// sl local_address rem_address st queues timer retransmits uid timeout inode
	_, line, found := bytes.Cut(raw, []byte(theirs+" "+ours+" "))
	if f := bytes.Fields(line[:min(len(line), lineBytes)]); found && len(f) > 6 && string(f[6]) != "0" {
		return "socket:[" + string(f[6]) + "]", nil
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
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, _ := os.ReadDir(dir) // of a process that has ended there are none
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		is, err := os.Readlink(dir + e.Name())
		return err == nil && is == file
	})
}

// children are the processes that a process started.
func children(parent int) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
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
