package cli

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/client"
)

// session is one command line being carried out.
type session struct {
	*terminal
	line      *cli.Context
	connected *client.Client // nil until something is asked
}

func (s *session) close() {
	if s.connected != nil {
		s.connected.Close()
	}
}

// client connects when it is first needed: what is wrong with the line is said
// first.
func (s *session) client(ctx context.Context) (*client.Client, error) {
	if s.connected != nil {
		return s.connected, nil
	}
	cfg := client.Config{
		URL: s.line.String("nats"), User: s.line.String("user"), Prefix: s.line.String("prefix"), Name: "belfry-cli",
	}
	if creds := s.line.String("nats-creds"); creds != "" {
		cfg.Options = append(cfg.Options, nats.UserCredentials(creds))
	}
	c, err := client.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.connected = c
	return c, nil
}

// ask sends a request and gives the answer as Belfry sent it.
func (s *session) ask(ctx context.Context, entity, verb string, req any) (jsontext.Value, error) {
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	return c.Ask(client.WithRequestID(ctx, s.line.String("request-id")), entity, verb, req)
}

// json says that a program reads the answer.
func (s *session) json() bool { return s.line.String("output") == outputJSON }

// arg is the argument of the command.
func (s *session) arg() string { return s.line.Args().First() }

// id is the id of what people call idOrName.
func (s *session) id(ctx context.Context, entity, idOrName string) (string, error) {
	get := api.GetOf(entity, idOrName)
	if get.ID != "" {
		return get.ID, nil
	}
	raw, err := s.ask(ctx, entity, "get", get)
	if err != nil {
		return "", err
	}
	record, err := read[api.Meta](raw)
	return record.ID, err
}
