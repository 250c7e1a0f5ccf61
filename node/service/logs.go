package service

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/record"
	"github.com/belfryhq/belfry/projection"
)

// Output keeps what attempts print.
type Output interface {
	// Read gives the kept lines of an attempt after a place to take, in order and
	// each with its number, until take does not want one. It returns the place
	// after the last that was taken, and whether that is the end of the output.
	// A number that was left out is of a line that was lost.
	Read(ctx context.Context, run string, attempt int, from OutputPlace, take func(number int, line eventlog.LogLine) bool) (OutputPlace, bool, error)
	// Watch gives a channel that has a value when there may be more of a run's
	// output, until stop. Watch before you read.
	Watch(run string) (more <-chan struct{}, stop func())
}

// OutputPlace is how far a reader has come in the output of an attempt.
type OutputPlace struct {
	Line int    // the number of the last line seen
	Seq  uint64 // where Output goes on
}

// outputLate is how long the end of an output may come after the event that ends
// its attempt: they are stored in two streams.
const outputLate = time.Second

// runLogs gives what an attempt has printed and logged so far, after a place.
// With wait, it waits for more than that.
func (s *Service) runLogs(ctx context.Context, r *request) (any, *api.Error) {
	in, refused := decode[api.RunLogsInput](r.body)
	if refused == nil {
		refused = s.strongly(ctx, in.Strong)
	}
	if refused != nil {
		return nil, refused
	}
	f, refused := newFollowing(in)
	if refused != nil {
		return nil, refused
	}
	patience, refused := parseWait(in.Wait)
	if refused != nil {
		return nil, refused
	}
	if patience == 0 {
		answer, refused := f.read(ctx, s, r)
		if refused != nil || f.late == 0 {
			return answer, refused
		}
		patience = f.late // it has just ended, and its last lines are on their way
	}
	if refused := s.beginWait(); refused != nil {
		return nil, refused
	}
	defer s.endWait()
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for {
		changed, stop := s.watch(in.ID)
		answer, refused := f.readWithin(ctx, s, r)
		on := refused == nil && !f.news(answer) && s.await(waiting, changed, f.late)
		stop()
		if !on {
			return answer, refused
		}
	}
}

// changes are what may bring more output of a run.
type changes struct{ run, output <-chan struct{} }

func (s *Service) watch(run string) (changes, func()) {
	var c changes
	var stopRun, stopOutput func()
	c.run, stopRun = s.cfg.Scheduler.WatchRun(run)
	if s.cfg.Output == nil {
		return c, stopRun
	}
	c.output, stopOutput = s.cfg.Output.Watch(run)
	return c, func() { stopRun(); stopOutput() }
}

// await returns when something changed, and false when the wait is over. late
// is after what time to look anyway; 0 is never.
func (s *Service) await(waiting context.Context, c changes, late time.Duration) bool {
	var timer <-chan time.Time
	if late > 0 {
		timer = time.After(late)
	}
	select {
	case <-c.run:
	case <-c.output:
	case <-timer:
	case <-waiting.Done():
		return false
	case <-s.quit:
		return false
	}
	return true
}

// following is a reader's request.
type following struct {
	in    api.RunLogsInput
	one   int // the attempt asked for, 0 for all from the place on
	begun int // the attempt of the place, 0 for the last
	from  OutputPlace
	// parts: the reader goes on after a part of an attempt's output.
	parts bool

	// Of the last read: the attempt has ended and all of it was given, or it has
	// ended and the rest may take so long to come.
	over bool
	late time.Duration
}

func newFollowing(in api.RunLogsInput) (*following, *api.Error) {
	f := &following{in: in, parts: in.After != "" || in.Wait != ""}
	if in.ID == "" {
		return nil, api.Errorf(api.Invalid, "id", "id is missing: give a run's id")
	}
	if in.After != "" {
		var ok bool
		if f.begun, f.from, ok = parsePlace(in.After); !ok {
			return nil, api.Errorf(api.Invalid, "after", "this is not a place in an output: pass the next of the answer before, or begin without one")
		}
	}
	if in.Attempt == nil {
		return f, nil
	}
	f.one = *in.Attempt
	switch {
	case f.one < 1:
		return nil, api.Errorf(api.Invalid, "attempt", "%d is not an attempt: they count from 1", f.one)
	case f.begun == 0:
		f.begun = f.one
	case f.begun != f.one:
		return nil, api.Errorf(api.Invalid, "after", "this place is in attempt %d, not in %d: leave one of them out", f.begun, f.one)
	}
	return f, nil
}

// formatPlace writes a place as text that callers pass back.
func formatPlace(attempt int, p OutputPlace) string {
	return fmt.Sprintf("%d.%d.%d", attempt, p.Line, p.Seq)
}

func parsePlace(s string) (attempt int, p OutputPlace, ok bool) {
	part := strings.Split(s, ".")
	if len(part) != 3 {
		return 0, p, false
	}
	n, err1 := strconv.ParseUint(part[0], 10, 31)
	line, err2 := strconv.ParseUint(part[1], 10, 31)
	seq, err3 := strconv.ParseUint(part[2], 10, 63)
	return int(n), OutputPlace{int(line), seq}, err1 == nil && err2 == nil && err3 == nil
}

// news says whether an answer has what a reader waits for: lines, or that the
// attempt, or the run, has ended.
func (f *following) news(a api.RunLogs) bool {
	if f.late > 0 { // let the lines and the end come together
		return f.parts && len(a.Lines) > 0
	}
	return !f.parts || len(a.Lines) > 0 || a.Ended || f.over
}

// readWithin reads in the time that a request has, which begins anew after a wait.
func (f *following) readWithin(ctx context.Context, s *Service, r *request) (api.RunLogs, *api.Error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	return f.read(ctx, s, r)
}

// read answers with what there is now.
func (f *following) read(ctx context.Context, s *Service, r *request) (api.RunLogs, *api.Error) {
	f.over, f.late = false, 0
	run, refused := s.lookAt(ctx, r, f.in)
	if refused != nil {
		return api.RunLogs{}, refused
	}
	if f.begun > run.attempts+1 || f.one > run.attempts && run.final {
		return api.RunLogs{}, api.Errorf(api.NotFound, "attempt", "run %s has no attempt %d: it has %d", f.in.ID, f.begun, run.attempts)
	}
	attempt := f.begun
	if attempt == 0 {
		attempt = run.attempts
	}
	answer := api.RunLogs{Lines: []eventlog.LogLine{}, Attempt: attempt, Status: run.status, Next: formatPlace(attempt, f.from)}
	if attempt == 0 || attempt > run.attempts { // it has not begun
		answer.Attempt, answer.Ended = run.attempts, run.final
		answer.Next = formatPlace(max(attempt, 1), OutputPlace{})
		return answer, nil
	}
	ended, refused := run.ended(ctx, s, attempt)
	if refused != nil {
		return api.RunLogs{}, refused
	}
	p := &logPage{answer: &answer, at: f.from, parts: f.parts}
	whole := p.fill(ctx, s, f.in.ID, attempt, ended)
	f.over, f.late = ended != nil && whole, p.late
	last := attempt == run.attempts
	answer.Next = formatPlace(attempt, p.at)
	answer.Ended = f.over && (f.one != 0 || run.final && last)
	if f.over && !answer.Ended {
		answer.Next = formatPlace(attempt+1, OutputPlace{})
	}
	return answer, nil
}

// runView is what a reader of output must know of a run.
type runView struct {
	item     projection.Item
	status   api.Status
	final    bool
	attempts int  // that have begun
	open     bool // the last of them has not ended
	life     []eventlog.Event
}

// lookAt reads a run's state.
func (s *Service) lookAt(ctx context.Context, r *request, in api.RunLogsInput) (*runView, *api.Error) {
	v := &runView{}
	found := false
	h, refused := s.read(ctx, r, func(st *projection.State) {
		i := st.Run(in.ID)
		if id, of := strings.CutPrefix(in.ID, eventlog.PrefixRun); i == nil && of && in.Wait != "" {
			i = st.Item(eventlog.PrefixItem + id) // it may have one soon
		}
		if i != nil {
			found, v.item = true, i.Copy()
		}
	})
	switch {
	case refused != nil:
		return nil, refused
	case !found:
		return nil, api.Errorf(api.NotFound, "", "there is no run %q: see run.list", in.ID)
	}
	v.item.Seq, v.item.Fired = h.Seq(v.item.Seq), h.Seq(v.item.Fired)
	v.status, v.final = record.Status(v.item.Status), v.item.Status.Final()
	if !v.final {
		if run := v.item.Live.Run; run != nil {
			v.attempts, v.open = run.Attempt, run.Open
		}
		return v, nil
	}
	if refused := v.readLife(ctx, s); refused != nil {
		return nil, refused
	}
	if whole := projection.ItemFromLog(v.life, make([]uint64, len(v.life))); whole.Live.Run != nil {
		v.attempts = whole.Live.Run.Attempt
	}
	return v, nil
}

func (v *runView) readLife(ctx context.Context, s *Service) (refused *api.Error) {
	if v.life == nil {
		v.life, _, refused = s.lifeOfRun(ctx, s.cfg.Log, &v.item)
	}
	return refused
}

// closing is what the event that closed an attempt tells of it. Of one that was
// interrupted it tells nothing.
type closing struct {
	eventlog.Ended
	at       eventlog.Time
	reported bool
}

// ended is how an attempt was closed; nil while it is open.
func (v *runView) ended(ctx context.Context, s *Service, attempt int) (*closing, *api.Error) {
	if v.open && attempt == v.attempts {
		return nil, nil
	}
	if refused := v.readLife(ctx, s); refused != nil {
		return nil, refused
	}
	for n := range v.life {
		var head eventlog.RunHead
		var ended eventlog.Ended
		switch d := eventlog.ForItem(v.life[n].Data).(type) {
		case *eventlog.ItemRetryScheduled:
			head, ended = d.RunHead, d.Ended
		case *eventlog.ItemCompleted:
			head, ended = d.RunHead, d.Ended
		case *eventlog.ItemFailed:
			head, ended = d.RunHead, d.Ended
		case *eventlog.ItemCanceled:
			head, ended = d.RunHead, d.Ended
		default:
			continue
		}
		if head.Attempt == attempt {
			return &closing{ended, v.life[n].Time, true}, nil
		}
	}
	return &closing{}, nil
}

// logPage gathers the lines of an answer.
type logPage struct {
	answer *api.RunLogs
	at     OutputPlace
	parts  bool // a page that is cut is no loss
	size   int
	full   bool
	late   time.Duration // until the end of the output is to be given up
}

// take takes a line, unless the page is full.
func (p *logPage) take(number int, line eventlog.LogLine) bool {
	if number <= p.at.Line {
		return true
	}
	if p.size += lineSize(line); p.size > api.PageBytesMax {
		p.full, p.answer.Truncated = true, p.answer.Truncated || !p.parts
		return false
	}
	if number > p.at.Line+1 {
		p.answer.Truncated = true // what is between was lost
	}
	p.answer.Lines = append(p.answer.Lines, line)
	p.at.Line = number
	return true
}

// lineSize is what a line takes in an answer, at most: 50 bytes of names and time
// besides its text, in which each control character becomes six.
func lineSize(line eventlog.LogLine) int {
	size := len(line.Text) + 100
	for n := range len(line.Text) {
		switch c := line.Text[n]; {
		case c < ' ':
			size += 5
		case c == '"', c == '\\':
			size++
		}
	}
	return size
}

// fill gives the lines of an attempt after the page's place: those that its end
// tells, then those that Output keeps. It returns whether these are all there
// are; ended is nil while the attempt goes on.
func (p *logPage) fill(ctx context.Context, s *Service, run string, attempt int, ended *closing) (whole bool) {
	if ended != nil {
		for n, line := range ended.Logs {
			if !p.take(n+1, line) {
				return false
			}
		}
		if ended.reported && !ended.LogsTruncated {
			return true
		}
	}
	end := false
	if s.cfg.Output != nil {
		var at OutputPlace
		var err error
		if at, end, err = s.cfg.Output.Read(ctx, run, attempt, p.at, p.take); err != nil {
			s.cfg.Logger.Warn("a run's output cannot be read", "run", run, "error", err)
		}
		p.at.Seq = at.Seq
	}
	if p.full || ended == nil || end || !ended.reported {
		return !p.full
	}
	if late := outputLate - time.Since(ended.at.Std()); late > 0 && late <= outputLate && s.cfg.Output != nil {
		p.late = late
		return false
	}
	p.answer.Truncated = true // the rest was lost, or is not kept any more
	return true
}
