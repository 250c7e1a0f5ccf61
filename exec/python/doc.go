// Package python is the Python runtime: shim (standard library only, embedded) with the valstorm package.
//
// It keeps warm worker processes, one for each function version and user, and
// gives them one run at a time. It does not decide what runs, when or how
// often: that is exec's, and exec.Runtime is all that it implements. It limits
// memory, time, processes and output and tells runs apart; its sandboxes protect
// against accidents and curiosity, not against a hostile tenant.
//
//	Run ──▶ idle worker of (function, version, user)? ──no──▶ the parent forks one, into its sandbox
//	              │                                             │ the key's, for good
//	              ▼                                             ▼
//	        requests  fd 3 ──▶ ┌────────────────────┐ ──▶ responses fd 4: output*, done
//	                           │ forked  worker     │ ──▶ clock     fd 5: when the first line began
//	    own session, user,     └────────────────────┘ ──▶ stdout, stderr fd 1, 2: what passes Python by
//	    own directory                    │
//	                                     ├─ answered, nothing left running: idle again
//	                                     └─ anything else: all of it is killed
//
// A worker is kept only after an orderly answer. One that crashed, was killed
// at its time-out, sent what the protocol does not know, ran out of memory or
// left a child process behind is killed with all that it has started.
//
// # Concurrency
//
// A Runtime is safe for concurrent use; as many workers run at once as there
// are calls of Run. One Python process, the parent, forks and kills all workers,
// and one goroutine hears it. A worker has two goroutines, which empty its stdout
// and stderr. Idle workers are ended and what they leave is freed in the
// background; everything else happens in the caller's goroutine.
package python
