//go:build !linux

package cluster_test

// mustRestrict says that the level "restricted" can be had here.
func mustRestrict() bool { return false }
