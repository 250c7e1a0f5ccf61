package check

import "time"

type Outcome int

const (
	Acknowledged Outcome = iota
	Refused
	Unavailable
	Unknown
)

type Op struct {
	Client, Node, Verb, Request string
	Invoked, Returned           time.Time
	Outcome                     Outcome
	ID, Entity                  string
	Revision, Seq               uint64
	Read, Strong                bool
	Status                      string
}

type Line struct {
	ID, Run               string
	Attempt               int
	Executor, Incarnation string
	Start, End            time.Time
	Ended                 bool
}

type Fault struct {
	Kind, Node string
	From, To   time.Time
}

type Hash struct {
	Node      string
	Partition int
	Seq       uint64
	Sum       [32]byte
}
