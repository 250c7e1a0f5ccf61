package projection

import "github.com/belfryhq/belfry/eventlog"

// Meta is what all records of definitions have.
type Meta struct {
	ID         string        `cbor:"1,keyasint"`
	Name       string        `cbor:"2,keyasint"`
	Created    eventlog.Time `cbor:"3,keyasint"`
	Modified   eventlog.Time `cbor:"4,keyasint"`
	CreatedBy  string        `cbor:"5,keyasint"`
	ModifiedBy string        `cbor:"6,keyasint"`
	Revision   uint64        `cbor:"7,keyasint"`
	Seq        uint64        `cbor:"8,keyasint"` // of the commit with the last event; may be pending
}

func (m *Meta) touch(e *eventlog.Event, seq uint64) {
	if m.Created == 0 {
		m.ID, m.Created, m.CreatedBy = e.Subject, e.Time, e.Actor
	}
	m.Modified, m.ModifiedBy = e.Time, e.Actor
	m.Revision, m.Seq = e.Revision, seq
}

const pendingBit = 1 << 63

// Pending is the sequence of an event in this process's n-th commit, as long
// as that is not stored.
func Pending(n uint64) uint64 { return n | pendingBit }

// IsPending tells the number of the commit whose sequence is not yet known.
func IsPending(seq uint64) (n uint64, pending bool) {
	return seq &^ pendingBit, seq&pendingBit != 0
}
