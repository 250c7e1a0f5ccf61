// Package arch is architecture as a test: which packages there are, what each is
// for, what it may import, and the house rules that a machine can judge.
//
// It holds tests only, uses nothing but the standard library, and reads source
// without building it, so that it still speaks when the code does not compile.
// It refuses to judge style that gofmt and the linters judge.
//
//	map_test.go      the map: every package, its sentence, its arrows
//	arrows_test.go   imports that the map does not have; test code in products
//	purity_test.go   clocks, I/O and chance in the packages that are pure
//	shape_test.go    sizes, package comments, init, state of packages
//	stray_test.go    what a repository should not hold
//	control_test.go  planted violations: each rule must find its own
//
// A package that needs a new arrow adds it to the map with the reason, in the
// same commit.
//
// # Concurrency
//
// None: the rules run one after the other over the parsed files.
package arch
