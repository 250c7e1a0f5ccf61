package cli

import (
	"context"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func (t *terminal) userCommand() *cli.Command {
	n := noun[api.User]{"user", "ID", []column[api.User]{
		{"ID", func(u api.User) string { return u.ID }},
		{"NAME", func(u api.User) string { return u.Name }},
		{"EMAIL", func(u api.User) string { return u.Email }},
		{"ORGANIZATION", func(u api.User) string { return u.OrganizationName }},
		{"SUPERUSER", func(u api.User) string { return yesNo(u.IsSuperuser) }},
		{"PERMISSIONS", func(u api.User) string { return strings.Join(u.Permissions, ",") }},
	}}
	return t.group("user", "who runs run as, and who asks",
		n.asks(verb{
			name: "create", usage: "make a user, who reaches the code as current_user",
			example: `belfry user create --id ann --email ann@example.com --first-name Ann --field 'plan="pro"'`,
			flags:   append([]cli.Flag{text("id", "the user's `ID`: lower-case letters, digits, - and _")}, userFlags()...),
			needs:   []string{"id"},
		}, func(_ context.Context, s *session) (any, error) {
			in, err := userInput(s)
			in.ID = s.line.String("id")
			return in, err
		}),
		n.get("belfry user get ann"),
		n.list("belfry user list", nil, func(_ context.Context, _ *session, page api.List) (any, error) { return page, nil }),
		n.update("belfry user update ann --permissions reports,mail", userFlags(), func(s *session) (func(string) any, error) {
			in, err := userInput(s)
			in.IfRevision = s.ifRevision()
			return func(id string) any { in.ID = id; return in }, err
		}),
		n.delete("belfry user delete ann"),
	)
}

func userFlags() []cli.Flag {
	return []cli.Flag{
		text("name", "the user's `NAME`"),
		text("email", "`ADDRESS`"),
		text("first-name", "`NAME`"),
		text("last-name", "`NAME`"),
		text("organization-id", "`ID`"),
		text("organization-name", "`NAME`"),
		text("permissions", "`LIST` with commas between: reports,mail"),
		yes("superuser", "may do everything, for everybody (take it back with --superuser=false)", "is-superuser"),
		&cli.StringSliceFlag{Name: "field", Usage: "a further field, `KEY=JSON`; again for each: --field 'plan=\"pro\"' --field seats=5"},
	}
}

func userInput(s *session) (api.UserInput, error) {
	in := api.UserInput{Name: s.text("name"), Fields: map[string]jsontext.Value{}}
	set := func(field string, value any) error {
		encoded, err := json.Marshal(value)
		in.Fields[field] = encoded
		return err
	}
	for _, flag := range []string{"email", "first-name", "last-name", "organization-id", "organization-name"} {
		if text := s.text(flag); text != nil {
			if err := set(strings.ReplaceAll(flag, "-", "_"), *text); err != nil {
				return in, err
			}
		}
	}
	if s.line.IsSet("permissions") {
		split := func(r rune) bool { return r == ',' || r == ' ' }
		if err := set("permissions", strings.FieldsFunc(s.line.String("permissions"), split)); err != nil {
			return in, err
		}
	}
	if s.line.IsSet("superuser") {
		if err := set("is_superuser", s.line.Bool("superuser")); err != nil {
			return in, err
		}
	}
	for _, pair := range s.line.StringSlice("field") {
		key, text, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return in, usagef("--field %s has no value: write KEY=JSON", pair)
		}
		value := jsontext.Value(text)
		if !value.IsValid() {
			return in, usagef("--field %s: %s is not JSON: write text in double quotes, as in --field '%s=\"%s\"'", key, text, key, text)
		}
		in.Fields[key] = value
	}
	return in, nil
}
