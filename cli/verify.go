package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/belfryhq/belfry/node/api"
)

func auditVerify() verb {
	return verb{
		name: "verify", usage: "judge the whole log: whether it is what Belfry guarantees",
		example: "belfry audit verify",
		flags:   []cli.Flag{text("id", "go on with the verification `ID`, or show what it found")},
		do: func(ctx context.Context, s *session) error {
			c, err := s.client(ctx)
			if err != nil {
				return err
			}
			id := s.line.String("id")
			verdict, err := c.VerifyAudit(ctx, id, func(v api.AuditVerdict) {
				if id = v.ID; !s.json() {
					s.note("%d of %d commits, %d events, %d violations", v.Checked, v.LastSeq, v.Events, v.ViolationCount)
				}
			})
			switch {
			case errors.Is(err, context.Canceled) && id != "":
				return fmt.Errorf("interrupted: the verification goes on, see belfry audit verify --id %s", id)
			case err != nil:
				return err
			}
			if s.json() {
				raw, err := s.ask(ctx, "audit", "verify", api.AuditVerify{ID: verdict.ID})
				if err != nil {
					return err
				}
				if err := s.printJSON(raw); err != nil {
					return err
				}
			} else if err := s.printVerdict(verdict); err != nil {
				return err
			}
			return broken(verdict)
		},
	}
}

// printVerdict shows violations, what stands around the first, and what was
// looked at.
func (s *session) printVerdict(v api.AuditVerdict) error {
	for _, x := range v.Violations {
		if _, err := fmt.Fprintf(s.out, "%8s  %-2s  %s\n", sequence(x.Seq), clean(x.Property), clean(x.Text)); err != nil {
			return err
		}
	}
	if more := v.ViolationCount - len(v.Violations); more > 0 {
		if _, err := fmt.Fprintf(s.out, "%8s  and %d more\n", "", more); err != nil {
			return err
		}
	}
	if len(v.Violations) > 0 {
		if _, err := fmt.Fprintln(s.out); err != nil {
			return err
		}
	}
	if err := s.printAround(v.Around); err != nil {
		return err
	}
	rows := [][]string{{"log", v.Status}}
	if v.FirstSeq > 1 {
		rows = append(rows, []string{"begins at", fmt.Sprintf("sequence %d: what was before it is gone and was not judged", v.FirstSeq)})
	}
	rows = append(rows,
		[]string{"last sequence", strconv.FormatUint(v.LastSeq, 10)},
		[]string{"commits", strconv.Itoa(v.Commits)},
		[]string{"events", strconv.Itoa(v.Events)},
		[]string{"items", byStatus(v.Items)},
		[]string{"runs", byStatus(v.Runs)},
		[]string{"triggers", byStatus(v.Triggers)},
		[]string{"properties", strings.Join(v.Properties, " ")},
		[]string{"state", fmt.Sprintf("%d of %d sections compared", v.Compared, v.Sections)},
		[]string{"violations", strconv.Itoa(v.ViolationCount)},
		[]string{"took", (time.Duration(v.TookMS) * time.Millisecond).String()},
	)
	return align(s.out, rows)
}

// printAround shows the events before, at and after the first violation.
func (s *session) printAround(around *api.Around) error {
	if around == nil {
		return nil
	}
	var text strings.Builder
	for _, part := range []struct {
		mark  string
		lines []string
	}{{"  ", around.Before}, {"> ", around.At}, {"  ", around.After}} {
		for _, line := range part.lines {
			text.WriteString(part.mark + clean(line) + "\n")
		}
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(s.out, "around the first:\n%s\n", text.String())
	return err
}

func sequence(seq uint64) string {
	if seq == 0 {
		return "-"
	}
	return strconv.FormatUint(seq, 10)
}

// byStatus shows counts: Completed 7, Failed 1.
func byStatus(counts map[string]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, clean(status)+" "+strconv.Itoa(counts[status]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// broken is the error of a verdict that is not clean, with what to do.
func broken(v api.AuditVerdict) error {
	if v.Status == api.VerifyClean {
		return nil
	}
	if !slices.ContainsFunc(v.Violations, func(x api.Violation) bool { return x.Property != "P1" }) && len(v.Violations) > 0 {
		return fmt.Errorf("the log is sound, this node's memory of it is not: restart the node, then verify again; report it with this output")
	}
	first := uint64(0)
	for _, x := range v.Violations {
		if x.Seq != 0 {
			first = x.Seq
			break
		}
	}
	return fmt.Errorf("the log is not what Belfry guarantees, first at sequence %s: copy the data directory away, read belfry audit events --after %d, and report it with this output", sequence(first), first-min(first, 1))
}
