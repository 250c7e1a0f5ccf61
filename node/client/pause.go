package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/belfryhq/belfry/node/api"
)

// The pauses between questions that are asked until something happens grow from
// the first to the second.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 500 * time.Millisecond
)

// longer is the pause after one in which nothing happened.
func longer(pause time.Duration) time.Duration { return min(pause*3/2, longestPause) }

// outage is the error of what may work later; nil of anything else.
func outage(err error) *api.Error {
	refusal, refused := errors.AsType[*api.Error](err)
	if refused && (refusal.Code == api.Unavailable || refusal.Code == api.Timeout) {
		return refusal
	}
	return nil
}

// sleep pauses for about d; it says false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d)) // spread: many clients lose the same node
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
