// Package api is the wire of callers: subjects, requests, replies, the error
// catalogue.
//
// It holds shapes only and decides nothing: node/service answers with them,
// node/client asks with them, node/command refuses with its errors. JSON in,
// JSON out, in snake_case; times are RFC 3339 in UTC to the millisecond.
//
//	belfry.api.<user>.<entity>.<verb>   request → record, page, or {"error": …}
//
// # Concurrency
//
// All types are plain values; functions are safe for concurrent use.
package api
