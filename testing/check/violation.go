package check

import "fmt"

// violationsMax bounds the violations that are kept: what follows the first
// thousand is an echo of them.
const violationsMax = 1000

// Violation is something that must not be.
type Violation struct {
	// Property is the code of what does not hold: "L7".
	Property string
	Text     string
	// Seq is the sequence of the commit that shows it; 0: none does.
	Seq uint64
	// Subject is the entity concerned, "" if none; Partition its partition, -1
	// for what is of the cluster or of none.
	Subject   string
	Partition int
}

// String is the property and the sentence.
func (x Violation) String() string { return x.Property + ": " + x.Text }

// place is where a violation shows.
type place struct {
	seq       uint64
	subject   string
	partition int
}

// nowhere is the place of what no commit shows.
func nowhere(subject string) place { return place{subject: subject, partition: -1} }

// object notes a violation.
func (v *Verdict) object(property string, at place, format string, args ...any) {
	v.Note(Violation{Property: property, Text: fmt.Sprintf(format, args...), Seq: at.seq, Subject: at.subject, Partition: at.partition})
}

// Note adds a violation that was found elsewhere: a node's memory that is not
// the log's, a message that cannot be read.
func (v *Verdict) Note(x Violation) {
	if len(v.Violations) >= violationsMax {
		v.Unsaid++
		return
	}
	v.Violations = append(v.Violations, x)
	v.witness(x)
}

// before orders violations: by sequence, what none shows last; at one sequence
// what a restored backup did wrong comes first, since the rest follows from it.
func (x Violation) before(y Violation) bool {
	if x.Seq != y.Seq {
		return y.Seq == 0 || x.Seq != 0 && x.Seq < y.Seq
	}
	return x.Property == "B1" && y.Property != "B1"
}
