package cluster

import (
	"context"
	"encoding/base64"
	"log/slog"
)

// secretBytesMax bounds a secret as it is given: it is in each snapshot.
const secretBytesMax = 4096

// Secret is what the members share and nobody else may know, in base64. It
// prints as nothing, so that no log and no error gives it away.
type Secret string

// String hides the secret.
func (Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(secret)" }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// PutSecret offers a secret of the whole cluster, bytes in base64, and returns
// the one there is: the first that was offered under this name wins, for ever.
// Like PutMember it works on any member.
func (c *Cluster) PutSecret(ctx context.Context, name string, secret Secret) (Secret, error) {
	r, err := c.command(ctx, putSecret{name, secret})
	return r.secret, err
}

type putSecret struct {
	Name   string `json:"name"`
	Secret Secret `json:"secret"`
}

func (putSecret) kind() string { return "put_secret" }

func (c putSecret) apply(s *State) result {
	if !validName(c.Name) {
		return refuse("name of a secret %q: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", c.Name)
	}
	if bytes, err := base64.StdEncoding.DecodeString(string(c.Secret)); err != nil || len(bytes) == 0 || len(c.Secret) > secretBytesMax {
		return refuse("secret %s: give 1 to %d characters of base64", c.Name, secretBytesMax)
	}
	if _, ok := s.Secrets[c.Name]; !ok {
		if s.Secrets == nil {
			s.Secrets = make(map[string]Secret)
		}
		s.Secrets[c.Name] = c.Secret
	}
	return result{stream: s.Stream, secret: s.Secrets[c.Name]}
}
