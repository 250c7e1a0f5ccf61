package api

import (
	"strings"

	"github.com/belfryhq/belfry/eventlog"
)

// Prefix is how the ids of an entity begin; "" where the id is chosen by its
// creator, as a user's is.
func Prefix(entity string) string {
	switch entity {
	case "function":
		return eventlog.PrefixFunction
	case "item":
		return eventlog.PrefixItem
	case "trigger":
		return eventlog.PrefixTrigger
	case "automation":
		return eventlog.PrefixAutomation
	case "run":
		return eventlog.PrefixRun
	}
	return ""
}

// GetOf is the request for the record that people call idOrName: an id is
// recognised by its prefix, and is the only way to ask where there is none.
func GetOf(entity, idOrName string) Get {
	if strings.HasPrefix(idOrName, Prefix(entity)) {
		return Get{ID: idOrName}
	}
	return Get{Name: idOrName}
}
