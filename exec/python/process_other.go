//go:build !linux

package python

import "syscall"

// childAttr gives a worker its own process group. Only Linux can tie its life
// to ours; elsewhere a worker ends when its pipe does.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns at once: only Linux can wait without reaping.
func awaitExit(int) {}
