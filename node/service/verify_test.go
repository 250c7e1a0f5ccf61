package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/eventlog/memlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/command"
	"github.com/belfryhq/belfry/node/scheduler"
)

// quiet is a bus on which nobody is.
type quiet struct{}

func (quiet) Publish(string, []byte) error { return nil }
func (quiet) Request(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody is there")
}
func (quiet) Subscribe(string, func(string, []byte)) (func(), error) { return func() {}, nil }

// open starts a node's scheduler and service over a log, without NATS.
func open(t *testing.T, log eventlog.Log, process string) (s *Service, stop func()) {
	t.Helper()
	sched, err := scheduler.New(scheduler.Config{
		Node: "local", Process: process, Version: "test", Log: log, Stream: "01STREAM", Bus: quiet{}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sched.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = New(Config{Scheduler: sched, Log: log, Logger: slog.New(slog.DiscardHandler)})
	return s, func() { s.Stop(); sched.Stop() }
}

// people creates users.
func people(t *testing.T, s *Service, prefix string, n int) {
	t.Helper()
	for k := range n {
		by := command.By{User: api.Admin, Now: eventlog.TimeOf(time.Now()), CauseIndex: -1}
		c, refused := command.NewCreateUser(by, api.UserInput{ID: fmt.Sprint(prefix, k)})
		if refused == nil {
			_, refused = s.cfg.Scheduler.Do(t.Context(), false, nil, c)
		}
		if refused != nil {
			t.Fatal(refused)
		}
	}
}

// verify asks as callers do.
func verify(t *testing.T, s *Service, body string) (api.AuditVerdict, *api.Error) {
	t.Helper()
	answer, refused := s.auditVerify(t.Context(), &request{user: api.Admin, body: []byte(body)})
	if refused != nil {
		return api.AuditVerdict{}, refused
	}
	return answer.(api.AuditVerdict), nil
}

// plant stores an event of admin as if the node had written it: with a
// revision that does not follow.
func plant(t *testing.T, log *memlog.Log, revision uint64) uint64 {
	t.Helper()
	info, err := log.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := "planted"
	e := eventlog.Event{
		ID: "planted.0", Source: "/belfry/local", Subject: api.Admin, Time: eventlog.TimeOf(time.Now()), Entity: eventlog.EntityUser,
		Revision: revision, Actor: api.Admin, Cause: "~planted", CauseIndex: -1, Data: &eventlog.UserUpdated{Name: &name},
	}
	encoded, err := eventlog.Encode(&e)
	if err != nil {
		t.Fatal(err)
	}
	body := eventlog.AppendCommit(nil, []eventlog.Encoded{encoded}, []uint64{1})
	seq, err := log.Append(t.Context(), "local", eventlog.Expect{LaneSeq: info.LastSeq}, "planted", body)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func TestASoundLogIsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := open(t, memlog.New(memlog.Faults{}), "A")
		defer stop()
		people(t, s, "u", 20)
		v, refused := verify(t, s, `{"wait":"1m"}`)
		if refused != nil {
			t.Fatal(refused)
		}
		if v.Status != api.VerifyClean || v.ViolationCount != 0 || len(v.Violations) != 0 || v.Violations == nil {
			t.Errorf("verdict %+v", v)
		}
		if last := s.cfg.Scheduler.LastSeq(); v.Checked != last || v.LastSeq != last || v.FirstSeq != 1 || v.Commits != int(last) || v.Events < 20 {
			t.Errorf("the log ends at %d, verdict %+v", last, v)
		}
		if v.Sections != eventlog.Partitions+1 || v.Compared != v.Sections {
			t.Errorf("%d of %d sections were compared", v.Compared, v.Sections)
		}
		again, refused := verify(t, s, fmt.Sprintf(`{"id":%q}`, v.ID))
		if refused != nil || fmt.Sprint(again) != fmt.Sprint(v) {
			t.Errorf("asked again: %+v %v", again, refused)
		}
	})
}

func TestAPlantedViolationIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		people(t, s, "u", 3)
		stop()
		seq := plant(t, log, 7)
		s, stop = open(t, log, "B")
		defer stop()
		v, refused := verify(t, s, `{"wait":"1m"}`)
		if refused != nil {
			t.Fatal(refused)
		}
		if v.Status != api.VerifyBroken || v.ViolationCount != 1 || len(v.Violations) != 1 {
			t.Fatalf("verdict %+v", v)
		}
		if x := v.Violations[0]; x.Property != "L6" || x.Seq != seq || x.Subject != api.Admin || !strings.Contains(x.Text, "revision 7 after 1") {
			t.Errorf("violation %+v, planted at %d", x, seq)
		}
		if a := v.Around; a == nil || len(a.At) != 1 || !strings.Contains(a.At[0], "belfry.user.updated admin r7") || len(a.Before) == 0 || len(a.After) == 0 {
			t.Errorf("around it stands %+v", a)
		}
	})
}

// astray remembers one partition as it never was.
type astray struct{ sampler }

func (a astray) Sample(left *[]int) (scheduler.Sample, bool, error) {
	taken, found, err := a.sampler.Sample(left)
	if taken.Partition == 7 {
		taken.Hash[0]++
	}
	return taken, found, err
}

func TestAMemoryThatIsNotTheLogsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		defer stop()
		p := newPass(log, astray{s.cfg.Scheduler}, s.cfg.Scheduler.LastSeq())
		if err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := p.answer()
		if v.Status != api.VerifyBroken || len(v.Violations) != 1 || v.Violations[0].Property != "P1" || !strings.Contains(v.Violations[0].Text, "partition 7 ") {
			t.Errorf("verdict %+v", v)
		}
	})
}

func TestAHoleIsAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		people(t, s, "u", 5)
		target := s.cfg.Scheduler.LastSeq()
		stop()
		log.Drop(4)
		p := newPass(log, s.cfg.Scheduler, target)
		if err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := p.answer()
		if v.Status != api.VerifyBroken || v.Violations[0].Property != "L3" || v.Violations[0].Seq != 4 || v.Checked != 3 {
			t.Errorf("verdict %+v", v)
		}
		if a := v.Around; a == nil || len(a.Before) == 0 || !strings.Contains(a.Before[len(a.Before)-1], " 3  ") || len(a.At)+len(a.After) > 0 {
			t.Errorf("around it stands %+v", a)
		}
	})
}

// beheaded is a log whose first messages were cut.
type beheaded struct {
	eventlog.Log
	first uint64
}

func (b beheaded) Info(ctx context.Context) (eventlog.Info, error) {
	info, err := b.Log.Info(ctx)
	info.FirstSeq = b.first
	return info, err
}

func TestALogThatBeginsLaterSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		defer stop()
		people(t, s, "u", 5)
		p := newPass(beheaded{log, 3}, s.cfg.Scheduler, s.cfg.Scheduler.LastSeq())
		if err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := p.answer(); v.FirstSeq != 3 || v.Checked != v.LastSeq || v.Commits != int(v.LastSeq)-2 {
			t.Errorf("verdict %+v", v)
		}
	})
}

// slow delivers ten messages a second.
func slow() memlog.Faults {
	return memlog.Faults{BeforeDeliver: func(uint64) time.Duration { return 100 * time.Millisecond }}
}

func TestVerificationsAreJoinedOrWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		defer stop()
		people(t, s, "u", 30)
		s.cfg.Log = log.With(slow())
		first, _ := verify(t, s, `{"wait":"1s"}`)
		if first.Status != api.VerifyRunning || first.Checked == 0 || first.Checked >= first.LastSeq || first.TookMS != 1000 {
			t.Errorf("amidst it: %+v", first)
		}
		if same, _ := verify(t, s, ``); same.ID != first.ID {
			t.Errorf("the same log, and another verification: %+v", same)
		}
		people(t, s, "v", 1)
		second, _ := verify(t, s, ``)
		people(t, s, "w", 1)
		third, _ := verify(t, s, ``)
		if second.ID == first.ID || third.ID != second.ID || third.LastSeq != first.LastSeq+2 || third.Checked != 0 || third.Status != api.VerifyRunning {
			t.Errorf("a longer log: %+v, then %+v", second, third)
		}
		if end, _ := verify(t, s, fmt.Sprintf(`{"id":%q,"wait":"1m"}`, third.ID)); end.Status != api.VerifyClean || end.LastSeq != third.LastSeq {
			t.Errorf("the second one ended as %+v", end)
		}
		if end, _ := verify(t, s, fmt.Sprintf(`{"id":%q}`, first.ID)); end.Status != api.VerifyClean || end.LastSeq != first.LastSeq {
			t.Errorf("the first one ended as %+v", end)
		}
		time.Sleep(verifiedFor)
		if _, refused := verify(t, s, fmt.Sprintf(`{"id":%q}`, first.ID)); refused == nil || refused.Code != api.NotFound {
			t.Errorf("after %v: %v", verifiedFor, refused)
		}
	})
}

func TestOnlyAFewVerificationsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := open(t, memlog.New(memlog.Faults{}), "A")
		defer stop()
		for range 3 * verifiedMax {
			if _, refused := verify(t, s, `{"wait":"1m"}`); refused != nil {
				t.Fatal(refused)
			}
			if n := len(s.verifications.all); n > verifiedMax+1 {
				t.Fatalf("%d are remembered", n)
			}
		}
	})
}

func TestAStopEndsAVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		people(t, s, "u", 50)
		s.cfg.Log = log.With(slow())
		first, _ := verify(t, s, ``)
		time.Sleep(time.Second)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		if _, refused := s.verifications.answer(s.verifications.all[0]); refused == nil || refused.Code != api.Unavailable {
			t.Errorf("%s ended with %v", first.ID, refused)
		}
	})
}

// What a node was judging when it ended is forgotten; the next one begins anew.
func TestARestartForgetsAVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Faults{})
		s, stop := open(t, log, "A")
		people(t, s, "u", 50)
		s.cfg.Log = log.With(slow())
		first, _ := verify(t, s, `{"wait":"1s"}`)
		stop()
		s, stop = open(t, log, "B")
		defer stop()
		if _, refused := verify(t, s, fmt.Sprintf(`{"id":%q,"wait":"1s"}`, first.ID)); refused == nil || refused.Code != api.NotFound || !strings.Contains(refused.Message, "leave the id out") {
			t.Errorf("after the restart: %v", refused)
		}
		if v, refused := verify(t, s, `{"wait":"1m"}`); refused != nil || v.Status != api.VerifyClean || v.LastSeq <= first.LastSeq {
			t.Errorf("begun anew: %+v %v", v, refused)
		}
	})
}

// Whoever may read events may have them judged.
func TestAnyUserMayVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := open(t, memlog.New(memlog.Faults{}), "A")
		defer stop()
		people(t, s, "u", 1)
		answer, refused := s.auditVerify(t.Context(), &request{user: "u0", body: []byte(`{"wait":"1m"}`)})
		if v, ok := answer.(api.AuditVerdict); refused != nil || !ok || v.Status != api.VerifyClean {
			t.Errorf("u0 is told %+v %v", answer, refused)
		}
	})
}

func TestAWrongVerifyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := open(t, memlog.New(memlog.Faults{}), "A")
		defer stop()
		for body, want := range map[string]api.Code{
			`{"id":"ver_1"}`: api.NotFound, `{"wait":"11m"}`: api.Invalid, `{"wait":"-1s"}`: api.Invalid, `{"wait":"soon"}`: api.Invalid,
			`{"wait":5}`: api.Invalid, `{"from":1}`: api.Invalid, `[]`: api.Invalid, `{"id":7}`: api.Invalid,
		} {
			if _, refused := verify(t, s, body); refused == nil || refused.Code != want {
				t.Errorf("%s: %v, not %s", body, refused, want)
			}
		}
		if _, refused := s.auditVerify(t.Context(), &request{user: "nobody"}); refused == nil || refused.Code != api.UnknownUser {
			t.Errorf("nobody: %v", refused)
		}
		if len(s.verifications.all) != 0 {
			t.Error("a refused request began a verification")
		}
	})
}
