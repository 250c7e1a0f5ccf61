package exec

import (
	"time"

	"github.com/belfryhq/belfry/exec/wire"
)

// output is what one attempt printed. A little travels with its report; if
// there is more, all of it goes to the log stream, in chunks, as it comes.
type output struct {
	publish func(chunk []byte)
	inline  []wire.LogLine // Invariant: costs at most wire.InlineLogBytesMax
	spilled bool           // there is more than inline
	full    bool           // wire.OutputBytesMax is reached
	cost    int            // of all lines kept
	bytes   int64          // of all lines, kept or not
	chunk   []byte         // lines as JSON, without the closing bracket
}

func newOutput(publish func([]byte)) *output { return &output{publish: publish} }

// add takes a line. Its time is kept to the millisecond.
func (o *output) add(l wire.LogLine) {
	size := len(l.Text) + 1
	o.bytes += int64(size)
	if o.full {
		return
	}
	o.cost += max(size, logLineCost)
	if o.full = o.cost > wire.OutputBytesMax; o.full {
		return
	}
	l.Time = l.Time.UTC().Truncate(time.Millisecond)
	if !o.spilled && o.cost <= wire.InlineLogBytesMax {
		o.inline = append(o.inline, l)
		return
	}
	if !o.spilled {
		o.spilled = true
		for _, early := range o.inline {
			o.write(early)
		}
	}
	o.write(l)
}

// close sends what is left. dropped is how many bytes never came.
func (o *output) close(dropped int64) {
	o.bytes += dropped
	if !o.spilled {
		return
	}
	if o.full || dropped > 0 {
		o.write(wire.LogLine{
			Time: time.Now().UTC().Truncate(time.Millisecond), Stream: "log",
			Text: "output beyond 1 MiB was dropped",
		})
	}
	o.send()
}

func (o *output) write(l wire.LogLine) {
	if len(o.chunk) > 0 && len(o.chunk)+chunkRoom(l) > logChunkBytesMax {
		o.send()
	}
	if len(o.chunk) == 0 {
		o.chunk = append(o.chunk, '[')
	} else {
		o.chunk = append(o.chunk, ',')
	}
	o.chunk = appendTime(append(o.chunk, `{"time":`...), l.Time)
	o.chunk = appendText(append(o.chunk, `,"stream":`...), l.Stream)
	o.chunk = appendText(append(o.chunk, `,"text":`...), l.Text)
	o.chunk = append(o.chunk, '}')
}

// chunkRoom is the most that a line can take in a chunk: each byte as \u00xx.
func chunkRoom(l wire.LogLine) int { return 6*(len(l.Text)+len(l.Stream)) + 80 }

func (o *output) send() {
	o.publish(append(o.chunk, ']'))
	o.chunk = nil
}
