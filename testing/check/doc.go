// Package check is the judge: it reads a log as anybody could, with the
// standard library's JSON, and says what in it must not be.
//
// It imports nothing of the product, so that a misunderstanding there is not
// shared here; its fold is its own, its occurrences are those of its own
// evaluator, in crontab. It never asks, waits, or reads a clock: what it knows
// was handed in, and the same input gives the same violations.
//
//	the log ──────────▶ Commit … Finish ─┐ one pass, in order
//	each node's log ──▶ Replica          │
//	clients' ops ─────▶ History          ├─▶ Violations, First, Outcome
//	functions' lines ─▶ Lines, Journal   │
//	fault timeline ───▶ Faults           │   (before the three above)
//	states, signs ────▶ Hashes, Readiness┘
//
// Faults come first, since they excuse. What is to hold only when all is quiet
// is asked for: AllEnded, AllDecided, AllDecidedFor, Owned, Restored. Enough
// tells a pass from a run in which too little happened.
//
// # Properties
//
// Of the log (Commit, unless something else is named):
//
//	L1  History: an acknowledged change stands at the revision and sequence that
//	    was answered; a create and a deletion without a record by their cause.
//	    Lines: what a run was told that it has scheduled is there.
//	L2  no event id twice; what one request id did within ten minutes is in one
//	    commit, each thing once. History: each request id in the log was asked
//	    for, and not refused or unavailable each time; a create that was refused
//	    is not there. An item that a run scheduled: the run was under way, both run
//	    as the same user, and the id is what run and name give.
//	L3  sequences are 1, 2, 3 …, each commit can be read and has events.
//	    Replica: so on each node.
//	L4  Replica: the same subject and bytes at the same sequence (by a hash of 64
//	    bits), the replica ends no later than the log.
//	L5  History: a change asked for after another was acknowledged stands behind
//	    it. A change without a request id is judged only if it is a create.
//	L6  revision counts up by one, prev is the commit before of this entity.
//	L7  the source is the lane, the partition is the entity's, and the lane's node
//	    owns it there: a fold of partitions.moved, in which a move counts for what
//	    the lane's node owns. A lane is opened first; no commit whose id was drawn
//	    before the lane's last opening stands behind it, and a process that was
//	    replaced does not open it again. A coordinator may write a move into
//	    another's lane.
//
// Of schedules (Commit and Finish, unless something else is named):
//
//	C1  no claim while one is open, no attempt and no run claimed or fired twice.
//	C2  each occurrence from a trigger's begin, resumption or change to the next
//	    pause, change or deletion has exactly one outcome; to the last one
//	    decided at Finish, to a moment with AllDecided.
//	C3  no outcome and no claim before its time. Lines: no start before it; with
//	    Lateness, starts matched to windows by earliest deadline first, a window
//	    being longer by the faults that overlap with it.
//	C4  what is decided, and each next_run, is an occurrence by crontab.
//	C5  no first attempt of an occurrence is claimed while paused, none waits
//	    through a pause. History: nor after a pause that was acknowledged and is
//	    not in the log.
//	C6  what fires is what the trigger's current revision says (target, data,
//	    runner, retry, name); a claim names the item's current time; the code that
//	    ran is the newest before the claim.
//	C7  nothing of an entity after its deletion, no claim of a deleted trigger's
//	    runs, no completion by a function that was deleted before the claim.
//	    History: no claim after an acknowledged cancel or deletion not in the log.
//	C8  counts of what is caught up and skipped, windows, one run for "latest".
//	C9  overlap "skip": one open run; "queue": one at work and one that waits.
//
// Of runs (Commit, unless something else is named):
//
//	R1  legal transitions only, each life begins with its creation.
//	R2  an end names run, attempt and executor of the open claim, and if it tells
//	    the incarnation, that too. Lines: a line's executor and incarnation are
//	    the claim's, and what completed came to its end there, not after it was
//	    told. An opening names the stream of the genesis.
//	R3  attempts are 1, 2, 3 …
//	R4  nothing after a terminal event.
//	R6  Lines: a line has its claim and does not begin before it, no attempt has
//	    two, what completed has one. Journal: the same by counts alone.
//	R8  AllEnded: each life has exactly one end.
//
// Of nodes:
//
//	P1  Hashes: a partition at a sequence is the same on all nodes.
//	P2  Hashes: SnapshotAndTail is FullFold.
//	P3  History: a read tells of no less than what was told before it was asked
//	    (a plain one may for StaleFor after a split), of nothing that was asked for
//	    only later, and of what the log has, there and with that status.
//	N1  the genesis gives all partitions, a move gives what the lane's node owns, to
//	    a node that opened a lane. Owned: there is a genesis, each owner lives. AllDecidedFor: who had work due decided.
//	N4  Readiness: ready and not serving, outside of faults.
//	B1  Restored, then Lines: nothing that had ended by a backup's last sequence is
//	    claimed, fired or run after it was restored.
//
// # What it cannot see
//
// Ends of attempts do not tell the incarnation of their executor: lines do.
// Limits of slots are in no event. A log whose front was cut is L3. Clocks of
// nodes are compared with those of functions (R6, C3) within Skew, or, if that is
// 0, until a fault puts the clock of the node that claimed wrong.
//
// # Memory
//
// A life costs its claims, an entity 40 bytes for each event, the log 8 bytes
// for each commit and each event, each request its id, and reports the last 4,096
// events. For items that run once that is some 500 bytes for each event.
// Violations are kept up to a thousand, then counted.
//
// # Concurrency
//
// Functions are pure; a Verdict is for one goroutine.
package check
