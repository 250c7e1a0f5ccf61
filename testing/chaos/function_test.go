//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
)

// functionsMax bounds the functions of one caller.
const functionsMax = 3

// define creates, changes or deletes a function of the caller's own. Python reads
// the code each time, which is one more thing that can be away.
func (c *caller) define(ctx context.Context) {
	switch n := c.random.IntN(4); {
	case len(c.functions) == 0 || n == 0 && len(c.functions) < functionsMax:
		name := fmt.Sprintf("%s-%d", c.name, c.asked)
		if c.ask(ctx, "function", "create", map[string]any{"name": name, "code": code, "timeout": "30s"}) != "" {
			c.functions = append(c.functions, name)
		}
	case n == 1:
		c.deleteOne(ctx, &c.functions, "function")
	default:
		c.some(ctx, c.functions, "function", "update", map[string]any{"code": fmt.Sprintf("%s\n# change %d\n", code, c.asked)})
	}
}

// function is what the next item or trigger runs: mostly one that stays.
func (c *caller) function() string {
	if len(c.functions) == 0 || c.random.IntN(3) > 0 {
		return "journal"
	}
	return c.functions[c.random.IntN(len(c.functions))]
}

// deleteOne deletes one of these, and forgets it when it is gone. What is in use
// is refused, and stays.
func (c *caller) deleteOne(ctx context.Context, ids *[]string, entity string) {
	if len(*ids) == 0 {
		return
	}
	n := c.random.IntN(len(*ids))
	if c.ask(ctx, entity, "delete", map[string]any{"id": (*ids)[n]}) != "" {
		*ids = slices.Delete(*ids, n, n+1)
	}
}
