package cli

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

// noun is an entity as people ask for it; R is its record.
type noun[R any] struct {
	name    string // in the API and on the command line
	takes   string // how one is named: NAME_OR_ID
	columns []column[R]
}

// get is the command that shows one record.
func (n noun[R]) get(example string) verb {
	return verb{
		name: "get", usage: "show one " + n.name, takes: n.takes, example: example,
		do: func(ctx context.Context, s *session) error {
			raw, err := s.ask(ctx, n.name, "get", api.GetOf(n.name, s.arg()))
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			return sheet(s.out, raw)
		},
	}
}

// asks completes a verb whose answer is a record: build makes the request.
func (n noun[R]) asks(v verb, build func(context.Context, *session) (any, error)) verb {
	name := v.name
	v.do = func(ctx context.Context, s *session) error {
		req, err := build(ctx, s)
		if err != nil {
			return err
		}
		raw, err := s.ask(ctx, n.name, name, req)
		if err != nil {
			return err
		}
		return n.row(s, raw)
	}
	return v
}

// row shows a record in one line.
func (n noun[R]) row(s *session, raw jsontext.Value) error {
	if s.json() {
		return s.printJSON(raw)
	}
	record, err := read[R](raw)
	if err != nil {
		return err
	}
	return table(s.out, n.columns, []R{record}, true)
}

// update is the command that changes the fields whose flags are given. build
// reads the line, before anything is asked; what it gives makes the request for
// the record with an id.
func (n noun[R]) update(example string, flags []cli.Flag, build func(*session) (func(id string) any, error)) verb {
	v := verb{name: "update", usage: "change fields of one " + n.name, takes: n.takes, example: example}
	v.flags = append(flags, ifRevision())
	return n.asks(v, func(ctx context.Context, s *session) (any, error) {
		if !anyFlag(s, flags) {
			return nil, usagef("update needs a flag that says what to change: see belfry %s update --help", n.name)
		}
		request, err := build(s)
		if err != nil {
			return nil, err
		}
		id, err := s.id(ctx, n.name, s.arg())
		if err != nil {
			return nil, err
		}
		return request(id), nil
	})
}

func anyFlag(s *session, flags []cli.Flag) bool {
	for _, flag := range flags {
		if s.line.IsSet(flag.Names()[0]) {
			return true
		}
	}
	return false
}

// delete is the command that deletes a record.
func (n noun[R]) delete(example string) verb {
	return verb{
		name: "delete", usage: "delete one " + n.name, takes: n.takes, example: example,
		flags: []cli.Flag{ifRevision()},
		do: func(ctx context.Context, s *session) error {
			id, err := s.id(ctx, n.name, s.arg())
			if err != nil {
				return err
			}
			raw, err := s.ask(ctx, n.name, "delete", api.Delete{ID: id, IfRevision: s.ifRevision()})
			if err != nil {
				return err
			}
			if s.json() {
				return s.printJSON(raw)
			}
			_, err = fmt.Fprintln(s.out, "deleted", id)
			return err
		},
	}
}

// cancel is the command that stops a record before its end.
func (n noun[R]) cancel(usage, example string) verb {
	v := verb{name: "cancel", usage: usage, takes: n.takes, example: example,
		flags: []cli.Flag{text("reason", "`TEXT` for the history")}}
	return n.asks(v, func(ctx context.Context, s *session) (any, error) {
		id, err := s.id(ctx, n.name, s.arg())
		return api.Cancel{ID: id, Reason: s.line.String("reason")}, err
	})
}

// list is the command that shows records, newest first. build makes the
// request for one page.
func (n noun[R]) list(example string, flags []cli.Flag, build func(context.Context, *session, api.List) (any, error)) verb {
	return verb{
		name: "list", usage: "list " + n.name + "s, newest first", example: example,
		flags: append(flags,
			whole("limit", "at most `N` records on a page, up to 1000", "100"),
			text("cursor", "begin `WHERE` the page before ended"),
			yes("all", "all pages")),
		do: func(ctx context.Context, s *session) error {
			page := api.List{Limit: given(s, "limit", s.line.Int), Cursor: s.line.String("cursor")}
			out := pages[R]{session: s, noun: n}
			for {
				req, err := build(ctx, s, page)
				if err != nil {
					return err
				}
				raw, err := s.ask(ctx, n.name, "list", req)
				if err != nil {
					return err
				}
				next, err := out.add(raw)
				if err != nil || next == "" || !s.line.Bool("all") {
					return err
				}
				page.Cursor = next
			}
		},
	}
}
