package cluster

import "fmt"

type (
	// found gives the cluster its id and the members that it begins with. The
	// first one counts.
	found struct {
		ID      string   `json:"id"`
		Members []Member `json:"members"`
	}
	startLeaving struct {
		Name string `json:"name"`
	}
	forget struct {
		Name string `json:"name"`
	}
)

func (found) kind() string        { return "found" }
func (startLeaving) kind() string { return "start_leaving" }
func (forget) kind() string       { return "forget" }

func (c found) apply(s *State) result {
	if c.ID == "" {
		return refuse("a cluster needs an id")
	}
	if s.ID != "" {
		return result{stream: s.Stream}
	}
	s.ID = c.ID
	for _, m := range c.Members {
		putMember{m}.apply(s)
		if m.Brings != "" && s.Stream.Phase == PhaseNone {
			s.Stream = Stream{ID: m.Brings, Phase: PhaseCreating, From: m.Name}
		}
	}
	return result{stream: s.Stream}
}

func (c startLeaving) apply(s *State) result {
	if _, ok := s.Removed[c.Name]; ok {
		return result{stream: s.Stream}
	}
	if _, ok := s.Members[c.Name]; !ok {
		return refuse("%s is not a member", c.Name)
	}
	if s.Leaving == nil {
		s.Leaving = make(map[string]bool)
	}
	s.Leaving[c.Name] = true
	return result{stream: s.Stream}
}

func (c forget) apply(s *State) result {
	if _, ok := s.Removed[c.Name]; ok {
		return result{stream: s.Stream}
	}
	if !s.Leaving[c.Name] {
		return refuse("%s is not leaving: ask for its removal first", c.Name)
	}
	for partition, node := range s.Plan {
		if node == c.Name {
			return refuse("the plan still gives partition %d to %s", partition, c.Name)
		}
	}
	if s.Removed == nil {
		s.Removed = make(map[string]string)
	}
	s.Removed[c.Name] = s.Members[c.Name].Instance
	delete(s.Members, c.Name)
	delete(s.Leaving, c.Name)
	return result{stream: s.Stream}
}

func wasRemoved(name string) string {
	return fmt.Sprintf("node %s was removed from this cluster, for good: start with an empty data directory and another name", name)
}

func otherInstance(name string) string {
	return fmt.Sprintf("node %s has belonged to this cluster with another data directory: belfry cluster remove %s, then give this one another name", name, name)
}
