package address_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/exec/address"
)

func TestAnAddressIsShownWithoutItsSecrets(t *testing.T) {
	for given, want := range map[string]string{
		"":                                     "",
		"nats://host:4222":                     "nats://host:4222",
		"host:4222":                            "host:4222",
		"nats://a:1, tls://b:2":                "nats://a:1,tls://b:2",
		"nats://admin:topsecret@host:4333":     "nats://host:4333",
		"admin:topsecret@host:4333":            "host:4333",
		"topsecret@host:4333":                  "host:4333",
		"nats://a:1,admin:topsecret@host:4333": "nats://a:1,host:4333",
		"a:1, admin:topsecret@host:4333 ,nats://b:2": "a:1,host:4333,nats://b:2",
		"nats:admin:topsecret@host":                  "host",
		"nats://admin:top@secret@host:4333":          "nats://host:4333",
		"nats://admin:top/secret@host:4333":          "the given address",
		"nats://admin:1/topsecret@host:4333":         "the given address",
		"nats://admin:1?topsecret@host:4333":         "the given address",
		"admin:1#topsecret@host:4333":                "the given address",
		"nats://admin:top%secret@host:4333":          "the given address",
		"nats://admin:top,secret@host:4333":          "the given address",
	} {
		if shown := address.Shown(given); shown != want {
			t.Errorf("%s is shown as %s, want %s", given, shown, want)
		}
	}
}

func TestWhyAnAddressFailedDoesNotNameIt(t *testing.T) {
	for _, given := range []string{"nats://admin:topsecret", "nats://admin:top%secret@host"} {
		_, err := url.Parse(given)
		if err = address.Failure(err); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "%se") {
			t.Errorf("%s: %v", given, err)
		}
	}
}
