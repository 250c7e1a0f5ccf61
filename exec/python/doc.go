// Package python is the Python runtime: shim (standard library only, embedded) with the valstorm package.
//
// It keeps warm worker processes, one for each function version and user, and
// gives them one run at a time. It does not decide what runs, when or how
// often: that is exec's, and exec.Runtime is all that it implements. It is no
// sandbox: it limits memory, time and output and tells runs apart, but the
// code runs with the rights of this process.
//
//	Run ──▶ idle worker of (function, version, user)? ──no──▶ spare ──none──▶ start
//	              │                                             │ becomes the key's, for good
//	              ▼                                             ▼
//	        requests  fd 3 ──▶ ┌────────────────────┐ ──▶ responses fd 4: output*, done
//	                           │ python3 -I worker  │ ──▶ clock     fd 5: when the first line began
//	    own process group,     └────────────────────┘ ──▶ stdout, stderr fd 1, 2: what passes Python by
//	    own directory                    │
//	                                     ├─ answered, nothing left running: idle again
//	                                     └─ anything else: the group is killed
//
// A worker is kept only after an orderly answer. One that crashed, was killed
// at its time-out, sent what the protocol does not know, ran out of memory or
// left a child process behind is killed with its process group.
//
// # Concurrency
//
// A Runtime is safe for concurrent use; as many workers run at once as there
// are calls of Run. All processes are started by one goroutine locked to its
// thread, since the kernel ties a child's life to the thread that made it. A
// process has two goroutines, which empty its stdout and stderr. Spares are
// started, idle workers ended and dead processes reaped in the background;
// everything else happens in the caller's goroutine.
package python
