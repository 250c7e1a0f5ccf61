package address

import (
	"errors"
	"net/url"
	"strings"
)

// scheme is what nats.go puts before an address that has none.
const scheme = "nats://"

// unreadable stands for addresses that may hold a secret anywhere.
const unreadable = "the given address"

// Shown is a list of addresses, with commas between, as anybody may be told it:
// without users, passwords and tokens.
func Shown(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, address := range list {
		address = strings.TrimSpace(address)
		bare := address != "" && !strings.Contains(address, "://")
		if bare {
			address = scheme + address
		}
		u, err := url.Parse(address)
		if err != nil {
			return unreadable
		}
		u.User = nil
		shown := u.String()
		if strings.Contains(shown, "@") { // after a password with a slash in it
			return unreadable
		}
		if bare {
			shown = strings.TrimPrefix(shown, scheme)
		}
		list[i] = shown
	}
	return strings.Join(list, ",")
}

// Failure is why an address failed, without the address, or a part of it, that
// could not be read: the error names it.
func Failure(err error) error {
	if named := new(url.Error); errors.As(err, &named) {
		return errors.New("it cannot be read as host:port")
	}
	return err
}
