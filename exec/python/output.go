package python

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// streams is how many streams a run's output has; their numbers on the wire
// are those of their names in newOutput.
const streams = 3

// output takes all that the current run of a worker prints, from the shim's
// frames and from the raw pipes, and gives it on as lines. Between runs it
// drops what comes.
type output struct {
	mu       sync.Mutex
	line     func(wire.LogLine) // nil between runs
	captured [streams]splitter  // what the shim captured
	raw      [2]splitter        // what went to the file descriptors 1 and 2
	rawLeft  int                // bytes that are still kept of raw
	dropped  int64              // bytes of raw that were not
	buf      [4096]byte
}

func newOutput() *output {
	o := &output{}
	names := [streams]string{"stdout", "stderr", "log"}
	for i := range o.captured {
		o.captured[i].stream = names[i]
	}
	for i := range o.raw {
		o.raw[i].stream = names[i]
	}
	return o
}

func (o *output) begin(line func(wire.LogLine), conceal mask) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line, o.rawLeft, o.dropped = line, rawBytesMax, 0
	for i := range o.captured {
		o.captured[i].conceal = conceal
	}
	for i := range o.raw {
		o.raw[i].conceal = conceal
	}
}

// end gives away unfinished lines and takes no more. It returns how many raw
// bytes were dropped.
func (o *output) end() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.captured {
		o.captured[i].flush(o.line)
	}
	for i := range o.raw {
		o.raw[i].flush(o.line)
	}
	o.line = nil
	return o.dropped
}

// take takes text that the shim captured, at a time in Unix nanoseconds.
func (o *output) take(nanos int64, stream int, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.line != nil {
		o.captured[stream].write(time.Unix(0, nanos), text, o.line)
	}
}

// readRaw reads once from a raw pipe without blocking. It returns what
// syscall.Read does. Reading and taking are one step, so that whoever finds
// the pipe empty knows that all of it was taken.
func (o *output) readRaw(which int, fd uintptr) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := syscall.Read(int(fd), o.buf[:])
	if n <= 0 || o.line == nil {
		return n, err
	}
	kept := min(n, o.rawLeft)
	o.rawLeft -= kept
	o.dropped += int64(n - kept)
	o.raw[which].write(time.Now(), o.buf[:kept], o.line)
	return n, err
}

// drain empties one raw pipe, so that nothing that writes to it ever blocks.
type drain struct {
	conn  syscall.RawConn
	out   *output
	which int
}

// follow reads until the pipe is closed.
func (d *drain) follow() {
	_ = d.conn.Read(func(fd uintptr) bool {
		for {
			n, err := d.out.readRaw(d.which, fd)
			switch {
			case errors.Is(err, syscall.EINTR):
			case errors.Is(err, syscall.EAGAIN):
				return false
			case n <= 0:
				return true
			}
		}
	})
}

// empty takes what is in the pipe now, at most about what it can hold: what
// a run wrote before it ended, not what others go on to write.
func (d *drain) empty() {
	_ = d.conn.Control(func(fd uintptr) {
		for left := pipeBytes; left > 0; {
			n, err := d.out.readRaw(d.which, fd)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if n <= 0 {
				return
			}
			left -= n
		}
	})
}

// pipeBytes is what a pipe holds.
const pipeBytes = 64 << 10
