package check

import (
	"crypto/sha256"
	"math/big"
	"strconv"
	"time"
)

// Item is an item's life.
type Item struct {
	Life
}

func (v *Verdict) item(e *Event) {
	i, known := v.Items[e.Subject]
	if e.verb == "created" {
		if known {
			v.object("R1", e.place(), "item %s is created again at %d", e.Subject, e.Seq)
		}
		i := &Item{Life{
			Kind: "item", ID: e.Subject, Due: e.Data.RunDateTime, Status: queued, LastEvent: e.Type,
			partition: e.Partition, born: e.Seq, target: e.Data.target(), runner: runner(e),
		}}
		v.scheduled(i, e)
		v.Items[e.Subject] = i
		return
	}
	if !known {
		v.object("R1", e.place(), "%s at %d is of item %s, which was never created", e.Type, e.Seq, e.Subject)
		return
	}
	if e.verb != "updated" {
		v.attempt(&i.Life, e)
		return
	}
	if i.ended() {
		v.object("R4", e.place(), "%s of item %s at %d, after it was %s", e.Type, i.ID, e.Seq, i.Status)
	} else {
		v.must(&i.Life, e, queued)
	}
	i.LastEvent = e.Type
	if e.Data.RunningUser != nil {
		i.runner = *e.Data.RunningUser
	}
	if due := e.Data.RunDateTime; !due.IsZero() {
		i.Due = due
	}
	if target := e.Data.target(); target != "" {
		i.target = target
	}
}

// scheduled judges L2 of an item that the code of a run wanted: the run is under
// way, the item runs as who the run runs as, and its id is the one that the run
// and its name give.
func (v *Verdict) scheduled(i *Item, e *Event) {
	by := e.Data.ScheduledBy
	if by == "" {
		return
	}
	i.scheduledBy = by
	run, name := v.life(by), ""
	if e.Data.Name != nil {
		name = *e.Data.Name
	}
	switch {
	case run == nil || !run.open || run.run != by:
		v.object("L2", e.place(), "item %s at %d is scheduled by run %s, which is not under way", e.Subject, e.Seq, by)
	case run.partition != e.Partition:
		v.object("L2", e.place(), "item %s at %d is scheduled by run %s, which lives in partition %d", e.Subject, e.Seq, by, run.partition)
	case e.Actor != run.runner || i.runner != run.runner:
		v.object("L2", e.place(), "item %s at %d is created by %s to run as %s; run %s, which scheduled it, runs as %s", e.Subject, e.Seq, e.Actor, i.runner, by, run.runner)
	default:
		if id := scheduledID(by, run.Claims[0].At, name); e.Subject != id {
			v.object("L2", e.place(), "item %s at %d is scheduled by run %s as %q, which makes it %s", e.Subject, e.Seq, by, name, id)
		}
	}
}

// scheduledID is the id of the item that a run schedules under a name: the time of
// its first claim in 48 bits of milliseconds, and the first 80 bits of a hash of
// which the first that leads into the run's partition counts.
func scheduledID(run string, claimed time.Time, name string) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	home := Partition(run)
	for try := 0; ; try++ {
		sum := sha256.Sum256([]byte(run + "\x00" + name + "\x00" + strconv.Itoa(try)))
		value := new(big.Int).SetBytes(append(big.NewInt(max(0, claimed.UnixMilli())).Bytes(), sum[:10]...))
		id := make([]byte, 26)
		for n := range id {
			id[25-n] = alphabet[new(big.Int).And(value, big.NewInt(31)).Int64()]
			value.Rsh(value, 5)
		}
		if item := "sci_" + string(id); Partition(item) == home {
			return item
		}
	}
}

// Counts are how many items ended how.
func (v *Verdict) Counts() map[string]int {
	counts := map[string]int{}
	for _, i := range v.Items {
		counts[i.Status]++
	}
	return counts
}
