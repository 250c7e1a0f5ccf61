package python

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// secretBytesMin is how short a value may be and still be masked: shorter ones are
// found in every other line.
const secretBytesMin = 4

// mask replaces the values that a function was given by its environment, in all
// that it says. The zero mask replaces nothing.
type mask struct {
	texts   []string // the longest first
	json    [][]byte // as they stand in JSON
	longest int
}

const masked = "***"

// newMask masks values, and each line of those that have several.
func newMask(values []string) (m mask) {
	for _, v := range values {
		for _, text := range append(strings.Split(v, "\n"), v) {
			if text = strings.TrimSuffix(text, "\r"); len(text) >= secretBytesMin && !slices.Contains(m.texts, text) {
				m.texts = append(m.texts, text)
				m.longest = max(m.longest, len(text))
			}
		}
	}
	slices.SortFunc(m.texts, func(a, b string) int { return len(b) - len(a) })
	for _, text := range m.texts {
		quoted, _ := jsontext.AppendQuote(nil, text)
		m.json = append(m.json, quoted[1:len(quoted)-1])
	}
	return m
}

func (m mask) text(s string) string {
	for _, secret := range m.texts {
		s = strings.ReplaceAll(s, secret, masked)
	}
	return s
}

// result masks JSON, as the shim writes it.
func (m mask) result(v jsontext.Value) jsontext.Value {
	for _, secret := range m.json {
		v = bytes.ReplaceAll(v, secret, []byte(masked))
	}
	return v
}
