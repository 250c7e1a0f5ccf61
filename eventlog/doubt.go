package eventlog

import (
	"errors"
	"fmt"
	"time"
)

// DamagePatience is how long several replicas may look damaged before it is
// taken for the truth: longer than a leader that was cut off was seen to tell
// of its past (18 s).
const DamagePatience = 30 * time.Second

// ErrDoubtful says that the stream looks damaged, but this may be a look into its past.
// Look again.
var ErrDoubtful = errors.New("the event stream looks damaged and is looked at again")

// Doubt is the patience before a finding of damage counts. With several
// replicas a leader that was cut off, or has just been elected, may know less
// than was acknowledged; whoever ends at the first such look ends a healthy
// node. The zero value is ready. One Doubt is for one question, asked again and
// again; it is not safe for concurrent use.
type Doubt struct {
	// Patience is how long damage must last. Defaults to DamagePatience.
	Patience time.Duration
	since    time.Time // the first look of those that found damage, one after the other
}

// Judge takes what a look found, nil for a whole stream, and returns what to
// make of it: ErrDamaged becomes ErrDoubtful until it has lasted. Alone, one
// replica, is believed at once; so is any other error.
func (d *Doubt) Judge(found error, replicas int, now time.Time) error {
	switch {
	case found == nil:
		d.since = time.Time{}
		return nil
	case replicas <= 1 || !errors.Is(found, ErrDamaged):
		return found
	}
	if d.since.IsZero() {
		d.since = now
	}
	patience := d.Patience
	if patience == 0 {
		patience = DamagePatience
	}
	if lasts := now.Sub(d.since); lasts < patience {
		return fmt.Errorf("%w (for %s now): %v", ErrDoubtful, lasts.Round(time.Second), found) //nolint:errorlint // it must not count as ErrDamaged yet
	}
	return found
}
