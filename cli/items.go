package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// partBytesMax bounds the items of one request: what NATS takes, less what
// surrounds them.
const partBytesMax = api.RequestBytesMax - 4<<10

// createItems is item create-many. A file may hold more than a request does: it
// is sent in parts.
func createItems() verb {
	return verb{
		name: "create-many", usage: "schedule the runs in a file, each of which stands for itself",
		example: `belfry item create-many --file items.json
echo '[{"name": "greet", "run_date_time": "2026-12-24T18:00:00Z", "function": "hello"}]' | belfry item create-many --file -`,
		flags: []cli.Flag{text("file", "the `FILE`, a JSON array of items with the fields of the API; - for standard input")},
		needs: []string{"file"},
		do: func(ctx context.Context, s *session) error {
			file, err := s.file("file")
			if err != nil {
				return err
			}
			var items []jsontext.Value
			if err := json.Unmarshal([]byte(*file), &items, lenient()); err != nil {
				return usagef(`--file holds no JSON array of items (%v): write it like [{"name": "greet", "run_date_time": "2026-12-24T18:00:00Z", "function": "hello"}]`, err)
			}
			results, failed := s.sendParts(ctx, items)
			if err := s.showResults(results, failed == nil); err != nil {
				failed = errors.Join(failed, err)
			}
			return failed
		},
	}
}

// sendParts creates items, part by part, and gives the results of the parts
// that were answered.
func (s *session) sendParts(ctx context.Context, items []jsontext.Value) ([]jsontext.Value, error) {
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	var results []jsontext.Value
	for n, part := range parts(items) {
		asking := ctx
		if id := s.line.String("request-id"); id != "" {
			asking = client.WithRequestID(ctx, id+"."+strconv.Itoa(n))
		}
		raw, err := c.Ask(asking, "item", "create_many", api.ItemsInput{Items: part})
		if err != nil {
			return results, fmt.Errorf("items %d to %d of %d: %w", len(results)+1, len(results)+len(part), len(items), err)
		}
		answer, err := read[struct {
			Results []jsontext.Value `json:"results"`
		}](raw)
		if err != nil {
			return results, err
		}
		results = append(results, answer.Results...)
	}
	return results, nil
}

// parts cuts items so that each part fits in a request. No items are one part.
func parts(items []jsontext.Value) [][]jsontext.Value {
	var all [][]jsontext.Value
	begin, size := 0, 0
	for i, item := range items {
		if i > begin && (i-begin == api.ManyMax || size+len(item)+1 > partBytesMax) {
			all = append(all, items[begin:i])
			begin, size = i, 0
		}
		size += len(item) + 1
	}
	return append(all, items[begin:])
}

// showResults shows what became of each item. Refused ones are an error, unless
// there is a worse one.
func (s *session) showResults(results []jsontext.Value, complete bool) error {
	if len(results) == 0 && !complete {
		return nil
	}
	rows := make([]result, len(results))
	refused := 0
	for i, raw := range results {
		r, err := read[api.ItemResult](raw)
		if err != nil {
			return err
		}
		if r.Error != nil {
			refused++
		}
		rows[i] = result{i + 1, r}
	}
	var err error
	switch {
	case s.json():
		var raw jsontext.Value
		if raw, err = json.Marshal(map[string][]jsontext.Value{"results": results}, lenient()); err == nil {
			err = s.printJSON(raw)
		}
	case len(rows) > 0:
		err = table(s.out, resultColumns(), rows, true)
	}
	if err == nil && refused > 0 && complete {
		err = fmt.Errorf("%d of %d items were refused: correct them and send them again", refused, len(results))
	}
	return err
}

// result is what became of the n-th item of a file, from 1.
type result struct {
	n int
	api.ItemResult
}

func resultColumns() []column[result] {
	record := func(cell func(*api.Item) string) func(result) string {
		return func(r result) string {
			if r.Error != nil {
				return ""
			}
			return cell(r.Item)
		}
	}
	return []column[result]{
		{"N", func(r result) string { return strconv.Itoa(r.n) }},
		{"ID", record(func(i *api.Item) string { return i.ID })},
		{"NAME", record(func(i *api.Item) string { return i.Name })},
		{"DUE", record(func(i *api.Item) string { return second(i.RunDateTime) })},
		{"REFUSED", func(r result) string {
			if r.Error == nil {
				return ""
			}
			return r.Error.Error()
		}},
	}
}
