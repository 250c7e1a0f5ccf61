// Package client is the Go SDK for other services, and what cli uses.
//
// It asks, waits and asks again; it refuses to decide anything: what is valid,
// allowed or possible, Belfry says. Requests go out as NATS request-reply
//
//	belfry.api.<user>.<entity>.<verb>
//
// and a refusal comes back as an [api.Error], with the code of the catalogue.
//
//	c, err := client.Connect(ctx, client.Config{User: "ann"})
//	…
//	defer c.Close()
//	item, err := c.CreateItem(ctx, api.ItemInput{ … })
//
// # Asking again
//
// Each write carries a request id, so that Belfry does nothing twice. That makes
// it safe to ask again, and the client does, within the caller's context:
//
//	unavailable, nothing stored   up to UnavailableRetriesMax times, with growing pauses
//	no answer, or disconnected    once
//	anything else                 never
//
// When the outcome is still unknown after that, the error is api.Timeout and
// names the request id; WithRequestID repeats the request later, within the ten
// minutes for which Belfry remembers it.
//
// # Concurrency
//
// A Client is safe for concurrent use and starts no goroutine of its own. Close
// may be called twice; requests under way then end with an error.
package client
