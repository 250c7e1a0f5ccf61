package check

import "time"

// restored is a log that was put back from a backup.
type restored struct {
	seq uint64 // its last one
	at  time.Time
}

// Restored judges B1 of a log that was restored from a backup which ended at a
// sequence, at a moment: nothing that had ended by then is claimed again, no
// occurrence that had fired fires again. Call it after Finish and before Lines,
// which then judges what functions wrote after the moment.
func (v *Verdict) Restored(seq uint64, at time.Time) {
	v.backup = &restored{seq, at}
	for id, l := range v.lives {
		if l.ends == 0 || l.ends > seq {
			continue
		}
		for _, c := range l.Claims {
			if c.Seq > seq {
				v.object("B1", l.place(c.Seq), "%s %s had ended at %d, the backup ends at %d, and it is claimed at %d", l.Kind, id, l.ends, seq, c.Seq)
			}
		}
	}
	type occurrence struct {
		trigger string
		at      int64 // Unix milliseconds
	}
	fired := map[occurrence]*Run{}
	for _, l := range v.lives {
		if r := v.Runs[l.ID]; r != nil && r.Trigger != "" && !r.Manual && r.born <= seq {
			fired[occurrence{r.Trigger, r.ScheduledFor.UnixMilli()}] = r
		}
	}
	for id, l := range v.lives {
		r := v.Runs[l.ID]
		if r == nil || r.Trigger == "" || r.Manual || r.born <= seq {
			continue
		}
		if before := fired[occurrence{r.Trigger, r.ScheduledFor.UnixMilli()}]; before != nil {
			v.object("B1", l.place(r.born), "trigger %s had fired %s at %d, the backup ends at %d, and it fires again at %d as run %s",
				r.Trigger, stamp(r.ScheduledFor), before.born, seq, r.born, id)
		}
	}
}
