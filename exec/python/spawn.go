package python

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

// errClosed says that the runtime was closed.
var errClosed = errors.New("python: the runtime is closed")

// spawner starts processes, all from one goroutine on one thread that lives
// until it is closed: the kernel kills a child whose parent thread ends.
type spawner struct {
	starts chan start
	closed chan struct{}
	ended  chan struct{}
	once   sync.Once
}

type start struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan start), closed: make(chan struct{}), ended: make(chan struct{})}
	go s.loop()
	return s
}

func (s *spawner) loop() {
	// Never unlocked: the thread ends with the goroutine.
	runtime.LockOSThread()
	defer close(s.ended)
	for {
		select {
		case next := <-s.starts:
			next.done <- next.cmd.Start()
		case <-s.closed:
			return
		}
	}
}

// start starts cmd, as cmd.Start does.
func (s *spawner) start(cmd *exec.Cmd) error {
	next := start{cmd: cmd, done: make(chan error, 1)}
	select {
	case s.starts <- next:
		return <-next.done
	case <-s.closed:
		return errClosed
	}
}

// close ends the thread, and with it whatever it started.
func (s *spawner) close() {
	s.once.Do(func() { close(s.closed) })
	<-s.ended
}
