package exec

import (
	"strconv"
	"sync"
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// output is what one attempt printed. A little travels with its report; what
// is more goes to the log stream in chunks, and so does, for those who follow,
// what a run has printed that goes on: then the lines that travel with the
// report are in both places, and their numbers tell.
type output struct {
	publish func(chunk []byte)
	limit   int // bytes that are kept, at most wire.OutputBytesMax

	mu      sync.Mutex
	inline  []wire.LogLine // Invariant: costs at most wire.InlineLogBytesMax
	spilled bool           // there is more than inline
	full    bool           // the limit is reached
	cost    int            // of all lines kept
	bytes   int64          // of all lines, kept or not

	chunk   []byte // lines as JSON, without the closing bracket
	written int    // lines that are in chunks, sent or not
	shown   int    // chunks that went out because of the time
	last    time.Time
	timer   *time.Timer // sends what is unsent; nil before the first line
	armed   bool        // it will
}

// newOutput keeps so many bytes, all that may be kept if the limit is 0.
func newOutput(publish func([]byte), limit int64) *output {
	if limit <= 0 || limit > wire.OutputBytesMax {
		limit = wire.OutputBytesMax
	}
	return &output{publish: publish, limit: int(limit)}
}

// add takes a line. Its time is kept to the millisecond.
func (o *output) add(l wire.LogLine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size := len(l.Text) + 1
	o.bytes += int64(size)
	if o.full {
		return
	}
	o.cost += max(size, logLineCost)
	if o.full = o.cost > o.limit; o.full {
		return
	}
	l.Time = l.Time.UTC().Truncate(time.Millisecond)
	if !o.spilled && o.cost <= wire.InlineLogBytesMax {
		o.inline = append(o.inline, l)
	} else {
		if !o.spilled {
			o.spilled = true
			o.writeInline()
		}
		o.write(l)
	}
	o.arm()
}

// close sends what is left. dropped is how many bytes never came.
func (o *output) close(dropped int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.armed = false // a timer that has gone off finds nothing to do
	if o.timer != nil {
		o.timer.Stop()
	}
	o.bytes += dropped
	cut := o.full || dropped > 0
	mark := wire.LogLine{
		Time: time.Now().UTC().Truncate(time.Millisecond), Stream: "log",
		Text: "output beyond " + sizeText(o.limit) + " was dropped",
	}
	if !o.spilled {
		if cut {
			o.inline = append(o.inline, mark)
		}
		return
	}
	if cut {
		o.write(mark)
	}
	o.send()
	o.publish([]byte("[]")) // so that readers know that they have all
}

// arm has the lines that are not sent yet sent in a while.
func (o *output) arm() {
	if o.armed || o.shown >= liveChunksMax {
		return
	}
	o.armed = true
	wait := liveEvery
	if o.shown > 0 {
		pause := liveEvery + time.Duration(o.shown)*liveEvery/liveSlower
		wait = max(wait, pause-time.Since(o.last))
	}
	if o.timer == nil {
		o.timer = time.AfterFunc(wait, o.show)
	} else {
		o.timer.Reset(wait)
	}
}

// show sends what was printed so far. The lock is held while it does, so that
// chunks go out in order.
func (o *output) show() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.armed {
		return
	}
	o.armed = false
	o.writeInline()
	if len(o.chunk) > 0 {
		o.send()
		o.shown++
		o.last = time.Now()
	}
}

// writeInline writes the lines that travel with the report and are in no chunk.
func (o *output) writeInline() {
	for o.written < len(o.inline) {
		o.write(o.inline[o.written])
	}
}

func (o *output) write(l wire.LogLine) {
	if len(o.chunk) > 0 && len(o.chunk)+chunkRoom(l) > logChunkBytesMax {
		o.send()
	}
	o.written++
	if len(o.chunk) == 0 {
		o.chunk = strconv.AppendInt(append(o.chunk, `[{"n":`...), int64(o.written), 10)
		o.chunk = append(o.chunk, ',')
	} else {
		o.chunk = append(o.chunk, `,{`...)
	}
	o.chunk = appendTime(append(o.chunk, `"time":`...), l.Time)
	o.chunk = appendText(append(o.chunk, `,"stream":`...), l.Stream)
	o.chunk = appendText(append(o.chunk, `,"text":`...), l.Text)
	o.chunk = append(o.chunk, '}')
}

// chunkRoom is the most that a line can take in a chunk: each byte as \u00xx.
func chunkRoom(l wire.LogLine) int { return 6*(len(l.Text)+len(l.Stream)) + 100 }

// send sends the chunk; an empty one is not sent.
func (o *output) send() {
	if len(o.chunk) == 0 {
		return
	}
	o.publish(append(o.chunk, ']'))
	o.chunk = nil
}

func sizeText(n int) string {
	switch {
	case n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + " MiB"
	case n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " bytes"
}
