//go:build linux

package chaos

import (
	"fmt"
	"slices"

	"github.com/belfryhq/belfry/node/api"
)

// rightful are the refusals for good that callers of a storm may meet, who ask
// for what is well formed: something is gone, ended, referred to, or was changed.
func rightful() []api.Code {
	return []api.Code{api.NotFound, api.InUse, api.IllegalTransition, api.Conflict}
}

// wrongful says which refusals no fault may turn a request into: of a full disk,
// of Python that is away, comes unavailable or timeout, never that the request
// was wrong.
func wrongful(h *history) (found []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.refusals {
		if !slices.Contains(rightful(), r.code) {
			found = append(found, fmt.Sprintf("%s of %s is refused for good with %s: %s", r.verb, r.request, r.code, r.message))
		}
	}
	return found
}

// refusal is a request that was refused for good.
type refusal struct {
	verb, request string
	code          api.Code
	message       string
}
