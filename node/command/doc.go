// Package command is what may follow: Decide, validation, policies. It is pure:
// no clock, no I/O, no randomness, no logging.
//
// A command is an imperative with everything that its decision needs stamped on
// it (the time, ids, who asks); New… functions make one of a request and refuse
// what no state could allow. Decide then says which events follow from it, in
// the state that it finds, or refuses with an error of the catalogue. It never
// changes the state: that is projection's Evolve.
//
//	request ──New…──▶ Command ──Decide(own, hints)──▶ []Event ──▶ Evolve
//	              ╲              ╲
//	               *api.Error     *api.Error
//
// No events and no error: what was asked is so already.
//
// # Concurrency
//
// Functions are safe for concurrent use as far as the state that they are
// given is: the owner's loop calls Decide, any goroutine New….
package command
