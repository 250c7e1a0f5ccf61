//go:build linux

package chaos

import (
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/testing/check"
)

// asChanges takes an acknowledged change for a read if no event stands under its
// request: it asked for what was so already, and was answered with what there is.
// If the event is lost instead, the record that was answered is not in the log.
// Creates, runs and the updates of a storm always store something.
func asChanges(ops []check.Op, commits []check.Commit) []check.Op {
	caused := map[string]bool{}
	for _, c := range commits {
		var events []struct {
			Cause string `json:"cause"`
		}
		if json.Unmarshal(c.Body, &events) != nil {
			continue // the judge says so
		}
		for _, e := range events {
			caused[e.Cause] = true
		}
	}
	for n := range ops {
		o := &ops[n]
		stores := strings.HasSuffix(o.Verb, ".create") || strings.HasSuffix(o.Verb, ".run") ||
			o.Verb == "item.update" || o.Verb == "function.update"
		o.Read = o.Read || !stores && o.Outcome == check.Acknowledged && !caused[o.Request] && o.Seq > 0
	}
	return ops
}
