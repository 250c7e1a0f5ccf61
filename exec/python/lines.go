package python

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/belfryhq/belfry/exec/wire"
)

// splitter makes lines of the text of one stream.
type splitter struct {
	stream  string
	conceal mask
	rest    []byte    // Invariant: holds no newline, and less than lineBytesMax
	since   time.Time // when rest began
}

// write takes text that came at t, and gives away the lines that it completes.
func (s *splitter) write(t time.Time, text []byte, line func(wire.LogLine)) {
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if len(s.rest) == 0 {
			s.since = t
		}
		if end < 0 {
			s.rest = append(s.rest, text...)
			s.cut(line)
			return
		}
		s.rest = append(s.rest, text[:end]...)
		text = text[end+1:]
		s.cut(line)
		s.emit(len(s.rest), line)
	}
}

// flush gives away a line that nothing completed.
func (s *splitter) flush(line func(wire.LogLine)) {
	if len(s.rest) > 0 {
		s.emit(len(s.rest), line)
	}
}

// cut gives away pieces of a line that is too long, at the borders of runes, and
// so that no secret is cut in two.
func (s *splitter) cut(line func(wire.LogLine)) {
	for len(s.rest) >= lineBytesMax {
		if len(s.conceal.texts) > 0 {
			s.rest = []byte(s.conceal.text(string(s.rest)))
		}
		end := min(lineBytesMax, len(s.rest)) - 1 - min(s.conceal.longest, lineBytesMax/2)
		for least := end - utf8.UTFMax; end > least+1 && !utf8.RuneStart(s.rest[end]); {
			end--
		}
		s.emit(end, line)
	}
}

func (s *splitter) emit(n int, line func(wire.LogLine)) {
	text := strings.ToValidUTF8(string(bytes.TrimSuffix(s.rest[:n], []byte{'\r'})), "\uFFFD")
	s.rest = append(s.rest[:0], s.rest[n:]...)
	line(wire.LogLine{Time: s.since.UTC(), Stream: s.stream, Text: s.conceal.text(text)})
}
