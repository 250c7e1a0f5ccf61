package service

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/projection"
)

// formatCursor writes a place in an order as text that callers pass back.
func formatCursor(c projection.Cursor) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(int64(c.Time), 36) + "." + c.ID))
}

func parseCursor(s string) (projection.Cursor, *api.Error) {
	if s == "" {
		return projection.Cursor{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	at, id, found := strings.Cut(string(raw), ".")
	if err == nil && found && id != "" {
		if ms, err := strconv.ParseInt(at, 36, 64); err == nil {
			return projection.Cursor{Time: eventlog.Time(ms), ID: id}, nil
		}
	}
	return projection.Cursor{}, api.Errorf(api.Invalid, "cursor", "this is not a cursor of ours: pass the next of the page before, or begin without one")
}
