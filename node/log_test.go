package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Who reads a whole log beside the others' work rests four times as long as it
// works, and ends when it is told to.
func TestAScrubRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stop")
		ctx, end := context.WithCancelCause(t.Context())
		pace, began := restful(ctx), time.Now()
		const pieces = 1000
		for range pieces {
			time.Sleep(100 * time.Microsecond) // work
			if err := pace(); err != nil {
				t.Fatal(err)
			}
		}
		if took, worked := time.Since(began), pieces*100*time.Microsecond; took != 5*worked {
			t.Errorf("%s of work took %s", worked, took)
		}
		end(stop)
		time.Sleep(scrubWork)
		if err := pace(); !errors.Is(err, stop) {
			t.Errorf("told to end, it says %v", err)
		}
	})
}
