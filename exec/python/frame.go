package python

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec"
	"github.com/belfryhq/belfry/exec/wire"
)

// The protocol is described in shim/belfry_shim/channel.py: a frame is its
// length, a kind, the number of the request, and what the kind says.

// protocol is the version that the shim's parent must name in its hello.
const protocol = 3

// Kinds of frames: of requests, then of responses.
const (
	kindLoad      = 'L'
	kindRun       = 'R'
	kindCheck     = 'C'
	kindScheduled = 'S' // answers kindSchedule

	kindHello    = 'h'
	kindOutput   = 'o'
	kindDone     = 'd'
	kindChecked  = 'c'
	kindSchedule = 's'
)

// Sizes of the fixed part of a body: kind and number, then what follows.
const (
	headBytes   = 1 + 8
	outputBytes = 8 + 1
	doneBytes   = 8 + 8 + 1
)

// Flags of a done frame.
const (
	flagWarm   = 1
	flagFailed = 2
)

var (
	// errGone says that a worker's pipe ended.
	errGone = errors.New("the worker's pipe ended")
	// errShort says that a frame ended within its fixed part.
	errShort = errors.New("a frame that is too short")
)

// response is any frame of a worker.
type response struct {
	kind   byte
	number uint64
	body   []byte // what follows; valid until the next frame is read
}

// readFrame reads one frame into buf, or into a larger one that it returns.
// The error is errGone if the worker is gone.
func readFrame(from *bufio.Reader, buf []byte) (response, []byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return response{}, buf, errGone
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	switch {
	case n > frameBytesMax:
		return response{}, buf, fmt.Errorf("a frame of %d bytes", n)
	case n < headBytes:
		return response{}, buf, errShort
	case cap(buf) < n:
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(from, buf); err != nil {
		return response{}, buf, errGone
	}
	return response{buf[0], binary.BigEndian.Uint64(buf[1:]), buf[headBytes:]}, buf, nil
}

// printed reads an output frame.
func (r response) printed() (nanos int64, stream int, text []byte, err error) {
	if len(r.body) < outputBytes || r.body[8] >= streams {
		return 0, 0, nil, errShort
	}
	return int64(binary.BigEndian.Uint64(r.body)), int(r.body[8]), r.body[outputBytes:], nil
}

// answer is a done frame.
type answer struct {
	started int64 // Unix nanoseconds; 0 is never
	dropped int64
	warm    bool
	result  jsontext.Value
	failure *wire.Error // if set, there is no result
}

// answer reads a done frame. What it returns does not need the frame any more.
func (r response) answer() (a answer, err error) {
	if len(r.body) < doneBytes {
		return a, errShort
	}
	a.started = int64(binary.BigEndian.Uint64(r.body))
	a.dropped = int64(binary.BigEndian.Uint64(r.body[8:]))
	flags, body := r.body[16], r.body[doneBytes:]
	a.warm = flags&flagWarm != 0
	if flags&flagFailed != 0 {
		a.failure = new(wire.Error)
		err = json.Unmarshal(body, a.failure)
	} else if a.result = jsontext.Value(body).Clone(); !a.result.IsValid() {
		err = errors.New("a result that is no JSON")
	}
	return a, err
}

// appendLoad appends the frame that gives a worker the code of its function.
func appendLoad(b []byte, job *exec.Job) []byte {
	b, start := beginFrame(b, kindLoad, 0)
	b = append(b, `{"name":`...)
	b = appendString(b, job.FunctionName)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(job.Version), 10)
	b = append(b, `,"memory":`...)
	b = strconv.AppendInt(b, job.MemoryLimit, 10)
	b = append(b, `,"code":`...)
	b = appendString(b, job.Code)
	return endFrame(append(b, '}'), start)
}

// appendRun appends the frame that starts a run. User and data go through as
// they came.
func appendRun(b []byte, number uint64, job *exec.Job, began time.Time) []byte {
	b, start := beginFrame(b, kindRun, number)
	sizes := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	run := len(b)
	b = append(b, '[')
	b = appendString(b, job.Run)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(job.Attempt), 10)
	b = append(b, ',')
	if job.ScheduledFor.IsZero() {
		b = append(b, `null`...)
	} else {
		b = strconv.AppendInt(b, job.ScheduledFor.UnixMicro(), 10)
	}
	b = append(b, ',')
	b = appendString(b, job.Function)
	b = append(b, ',')
	b = appendString(b, job.FunctionName)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(job.Version), 10)
	b = append(b, ',')
	b = appendString(b, job.Source.Kind)
	b = append(b, ',')
	b = appendString(b, job.Source.ID)
	b = append(b, ',')
	if job.Timeout > 0 {
		b = strconv.AppendInt(b, began.Add(job.Timeout).UnixMicro(), 10)
	} else {
		b = append(b, `null`...)
	}
	b = append(b, ']')
	user := len(b)
	b = appendObject(b, job.User)
	binary.BigEndian.PutUint32(b[sizes:], uint32(user-run))
	binary.BigEndian.PutUint32(b[sizes+4:], uint32(len(b)-user))
	return endFrame(appendObject(b, job.Data), start)
}

// appendCheck appends the frame that asks for a check.
func appendCheck(b []byte, number uint64, name, code string) []byte {
	b, start := beginFrame(b, kindCheck, number)
	b = append(b, `{"name":`...)
	b = appendString(b, name)
	b = append(b, `,"code":`...)
	b = appendString(b, code)
	return endFrame(append(b, '}'), start)
}

// scheduledFrame is the frame that answers a question of a run's code.
func scheduledFrame(number uint64, a wire.ScheduleAnswer) ([]byte, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	b, start := beginFrame(nil, kindScheduled, number)
	return endFrame(append(b, body...), start), nil
}

func beginFrame(b []byte, kind byte, number uint64) ([]byte, int) {
	start := len(b)
	b = append(b, 0, 0, 0, 0, kind)
	return binary.BigEndian.AppendUint64(b, number), start
}

func endFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// appendString appends s as JSON; what is not UTF-8 in it becomes U+FFFD,
// which is all that the error could say.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func appendObject(b []byte, v jsontext.Value) []byte {
	if len(v) == 0 {
		return append(b, `{}`...)
	}
	return append(b, v...)
}
