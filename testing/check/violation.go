package check

import (
	"fmt"
	"regexp"
)

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
}

// String is the property and the sentence.
func (x Violation) String() string {
	if x.Property == "" {
		return x.Text
	}
	return x.Property + ": " + x.Text
}

var coded = regexp.MustCompile(`^([A-Z]\d): `)

// violation notes what a sentence says, which begins with the property's code.
func (v *Verdict) violation(format string, args ...any) {
	if len(v.Violations) >= violationsMax {
		v.Unsaid++
		return
	}
	x := Violation{Text: fmt.Sprintf(format, args...), Seq: v.seq}
	if code := coded.FindStringSubmatch(x.Text); code != nil {
		x.Property, x.Text = code[1], x.Text[len(code[0]):]
	}
	v.Violations = append(v.Violations, x)
}
