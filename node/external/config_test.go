package external

import (
	"strings"
	"testing"
)

func TestAnAddressThatIsNoneIsToldWithoutItsPassword(t *testing.T) {
	for _, url := range []string{"admin:topsecret@host:4333", "nats://a:1,admin:topsecret@host:4333", "nats://admin:top%secret@host:4333"} {
		err := Config{URL: url}.Validate()
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "write nats://host:port") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
