package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// sheetWidth is how much of a value stands beside its key; what is longer
// stands below.
const sheetWidth = 100

// sheet shows one record: a line for each field in the order in which Belfry
// sent them, then what has several lines, such as code. It knows no entity, so
// that it shows fields of later versions too.
func sheet(w io.Writer, raw jsontext.Value) error {
	fields, err := fieldsOf(raw)
	if err != nil {
		return err
	}
	fields = unfold(fields)
	width := 0
	for _, f := range fields {
		width = max(width, utf8.RuneCountInString(f.name))
	}
	var lines, blocks strings.Builder
	for _, f := range fields {
		text, isBlock := f.show()
		if isBlock {
			fmt.Fprintf(&blocks, "\n%s\n", f.name)
			for line := range strings.Lines(strings.TrimRight(text, "\n")) {
				fmt.Fprintln(&blocks, strings.TrimRight("    "+line, "\r\n "))
			}
			continue
		}
		fmt.Fprintf(&lines, "%-*s  %s\n", width, f.name, text)
	}
	_, err = io.WriteString(w, lines.String()+blocks.String())
	return err
}

// field is a member of a JSON object.
type field struct {
	name  string
	value jsontext.Value
}

// fieldsOf lists the members of an object in their order.
func fieldsOf(object jsontext.Value) ([]field, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object), lenient())
	if _, err := d.ReadToken(); err != nil || object.Kind() != '{' {
		return nil, fmt.Errorf("the answer is not a record: use -o json to see it")
	}
	var fields []field
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		f := field{name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		f.value = value.Clone()
		fields = append(fields, f)
	}
	return fields, nil
}

// unfold replaces objects that hold text of several lines, such as an error
// with its traceback, by their members.
func unfold(fields []field) []field {
	var flat []field
	for _, f := range fields {
		members, err := fieldsOf(f.value)
		if err != nil || !anyField(members, func(m field) bool { return strings.Contains(m.text(), "\n") }) {
			flat = append(flat, f)
			continue
		}
		for _, m := range members {
			flat = append(flat, field{f.name + "." + m.name, m.value})
		}
	}
	return flat
}

// show gives the text of a value; a block stands on lines of its own.
func (f field) show() (text string, block bool) {
	switch kind := f.value.Kind(); {
	case kind == 'n':
		return "-", false
	case kind == '"':
		text := f.text()
		if strings.Contains(text, "\n") {
			return text, true
		}
		return cmp.Or(clean(text), "-"), false
	case kind == '{' && f.reference() != "":
		return f.reference(), false
	case kind == '[' && f.rows() != "":
		return f.rows(), true
	}
	if len(f.value) > sheetWidth {
		indented := f.value.Clone()
		if err := indented.Indent(jsontext.WithIndent("  "), lenient()); err == nil {
			return string(indented), true
		}
	}
	return string(f.value), false
}

// text is the value of a string, "" of anything else.
func (f field) text() string {
	if f.value.Kind() != '"' {
		return ""
	}
	text, _ := jsontext.AppendUnquote(nil, f.value) // invalid UTF-8 is replaced
	return string(text)
}

// reference shows {"id", "name"} as people call it; "" for other objects.
func (f field) reference() string {
	members, err := fieldsOf(f.value)
	if err != nil || len(members) == 0 || len(members) > 2 || members[0].name != "id" {
		return ""
	}
	if len(members) == 1 {
		return clean(members[0].text())
	}
	if members[1].name != "name" {
		return ""
	}
	return clean(members[1].text()) + " (" + clean(members[0].text()) + ")"
}

// rows shows a list of flat objects, such as lines of output, one to a line;
// "" for other lists.
func (f field) rows() string {
	var lines []string
	d := jsontext.NewDecoder(bytes.NewReader(f.value), lenient())
	_, _ = d.ReadToken() // "[", as the kind said
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return ""
		}
		members, err := fieldsOf(value)
		if err != nil || anyField(members, func(m field) bool { return m.value.Kind() == '{' || m.value.Kind() == '[' }) {
			return ""
		}
		var cells []string
		for _, m := range members {
			cell, _ := m.show()
			cells = append(cells, clean(cell))
		}
		lines = append(lines, strings.Join(cells, "  "))
	}
	return strings.Join(lines, "\n")
}

func anyField(fields []field, holds func(field) bool) bool {
	for _, f := range fields {
		if holds(f) {
			return true
		}
	}
	return false
}
