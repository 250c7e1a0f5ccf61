package cluster

import (
	"encoding/json"
	"fmt"
)

// commandVersion is the version of all commands. A new command, or an old one
// with a new meaning, gets a new type: a member that does not know it refuses it
// and says so, where it would otherwise part from the others in silence.
const commandVersion = 1

// envelope is how a command stands in Raft's log.
type envelope struct {
	Version int             `json:"v"`
	Type    string          `json:"type"`
	Body    json.RawMessage `json:"body"`
}

// command is one change of State. apply is the whole of it: no clock, no I/O,
// no randomness, the same on every member. It refuses with an error that wraps
// ErrRefused and then leaves the state as it was.
type command interface {
	kind() string
	apply(*State) result
}

// result is what a command came to, on the member that asked for it.
type result struct {
	stream Stream // after the command
	secret Secret // that was asked for
	err    error
}

func refuse(format string, args ...any) result {
	return result{err: fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))}
}

type (
	putMember struct{ Member }
	putPlan   struct {
		Plan Plan `json:"plan"`
	}
	intendStream struct {
		ID string `json:"id"`
	}
	streamCreated struct {
		ID string `json:"id"`
	}
	raiseLowWater struct {
		ID  string `json:"id"`
		Seq uint64 `json:"seq"`
	}
)

func (putMember) kind() string     { return "put_member" }
func (putPlan) kind() string       { return "put_plan" }
func (intendStream) kind() string  { return "intend_stream" }
func (streamCreated) kind() string { return "stream_created" }
func (raiseLowWater) kind() string { return "raise_low_water" }

func (c putMember) apply(s *State) result {
	if !validName(c.Name) {
		return refuse("member name %q: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit", c.Name)
	}
	if _, ok := s.Removed[c.Name]; ok {
		return refuse("%s", wasRemoved(c.Name))
	}
	known := s.Members[c.Name].Instance
	if c.Instance == "" {
		c.Instance = known // the caller need not know it
	}
	if known != "" && c.Instance != known {
		return refuse("%s", otherInstance(c.Name))
	}
	if s.Members == nil {
		s.Members = make(map[string]Member)
	}
	s.Members[c.Name] = c.Member
	return result{stream: s.Stream}
}

func (c putPlan) apply(s *State) result {
	for partition, node := range c.Plan {
		if _, ok := s.Members[node]; !ok && node != "" {
			return refuse("the plan gives partition %d to %q, which is not a member", partition, node)
		}
	}
	s.Plan = c.Plan
	return result{stream: s.Stream}
}

func (c intendStream) apply(s *State) result {
	if c.ID == "" {
		return refuse("a stream needs an id")
	}
	if s.Stream.Phase == PhaseNone {
		s.Stream = Stream{ID: c.ID, Phase: PhaseCreating}
	}
	return result{stream: s.Stream}
}

func (c streamCreated) apply(s *State) result {
	if bad := s.Stream.differs(c.ID); bad != nil {
		return *bad
	}
	s.Stream.Phase = PhaseCreated
	return result{stream: s.Stream}
}

func (c raiseLowWater) apply(s *State) result {
	if bad := s.Stream.differs(c.ID); bad != nil {
		return *bad
	}
	if s.Stream.Phase != PhaseCreated {
		return refuse("stream %s is not created yet", c.ID)
	}
	s.Stream.LowWater = max(s.Stream.LowWater, c.Seq)
	return result{stream: s.Stream}
}

// differs is the refusal of a command that names another stream than ours.
func (s Stream) differs(id string) *result {
	if s.Phase != PhaseNone && s.ID == id {
		return nil
	}
	bad := refuse("the stream is %q, not %q", s.ID, id)
	return &bad
}

func encode(c command) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.kind(), err)
	}
	return json.Marshal(envelope{Version: commandVersion, Type: c.kind(), Body: body})
}

// decode reads a command. What it does not know it refuses.
func decode(data []byte) (command, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%w: not a command: %w", ErrRefused, err)
	}
	if e.Version != commandVersion {
		return nil, fmt.Errorf("%w: command %q has version %d, this node knows %d: update it", ErrRefused, e.Type, e.Version, commandVersion)
	}
	if read := readers()[e.Type]; read != nil {
		return read(e)
	}
	return nil, fmt.Errorf("%w: this node does not know the command %q: update it", ErrRefused, e.Type)
}

// readers read commands, by type. How many there are is the level of commands that
// this release speaks: a member that lacks one would part from the others.
func readers() map[string]func(envelope) (command, error) {
	return map[string]func(envelope) (command, error){
		putMember{}.kind(): decodeBody[putMember], putPlan{}.kind(): decodeBody[putPlan],
		intendStream{}.kind(): decodeBody[intendStream], streamCreated{}.kind(): decodeBody[streamCreated],
		raiseLowWater{}.kind(): decodeBody[raiseLowWater], found{}.kind(): decodeBody[found],
		startLeaving{}.kind(): decodeBody[startLeaving], forget{}.kind(): decodeBody[forget],
		putSecret{}.kind(): decodeBody[putSecret],
	}
}

func decodeBody[C command](e envelope) (command, error) {
	var c C
	if err := json.Unmarshal(e.Body, &c); err != nil {
		return nil, fmt.Errorf("%w: command %q: %w", ErrRefused, e.Type, err)
	}
	return c, nil
}
