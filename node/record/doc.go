// Package record turns what was folded into the records that callers and
// functions see. It is pure.
//
// It decides nothing and looks nothing up but names: projection holds the
// state, node/api the shapes.
//
// # Concurrency
//
// Functions read a projection.State where they take one: the caller guards it.
package record
