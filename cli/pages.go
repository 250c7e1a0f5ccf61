package cli

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/node/api"
)

// pages shows the pages of a list as they come: a list may be longer than
// memory. As JSON, all pages together are one page.
type pages[R any] struct {
	*session
	noun  noun[R]
	pages int // shown so far
	shown int // records
}

// add shows a page and says where the next one begins.
func (p *pages[R]) add(raw jsontext.Value) (next string, err error) {
	if p.json() && !p.line.Bool("all") {
		return "", p.printJSON(raw)
	}
	page, err := read[api.Page[jsontext.Value]](raw)
	if err != nil {
		return "", err
	}
	if p.json() {
		return page.Next, p.join(page)
	}
	records := make([]R, len(page.Records))
	for i, record := range page.Records {
		if records[i], err = read[R](record); err != nil {
			return "", err
		}
	}
	if len(records) > 0 {
		err = table(p.out, p.noun.columns, records, p.shown == 0)
	}
	p.shown += len(records)
	switch {
	case err != nil:
	case p.shown == 0 && page.Next == "":
		p.note("no %ss", p.noun.name)
	case page.Next != "" && !p.line.Bool("all"):
		p.note("there are more: add --all, or --cursor %s", page.Next)
	}
	return page.Next, err
}

// join writes a page as a part of one large page.
func (p *pages[R]) join(page api.Page[jsontext.Value]) error {
	var b bytes.Buffer
	if p.pages == 0 {
		b.WriteString(`{"records":[`)
	}
	p.pages++
	for _, record := range page.Records {
		if p.shown++; p.shown > 1 {
			b.WriteByte(',')
		}
		b.Write(record)
	}
	if page.Next == "" {
		b.WriteString("],\"next\":\"\"}\n")
	}
	_, err := p.out.Write(b.Bytes())
	return err
}
