package python_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

// owner answers what runs want scheduled, and keeps it.
type owner struct {
	mu     sync.Mutex
	asked  []wire.Item
	answer func(wire.Item) wire.ScheduleAnswer
}

func (o *owner) schedule(_ context.Context, item wire.Item) (wire.ScheduleAnswer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, item)
	if o.answer != nil {
		return o.answer(item), nil
	}
	return wire.ScheduleAnswer{ID: "sci_" + item.Name, RunDateTime: "2026-03-04T12:00:00.120Z"}, nil
}

func TestScheduleGivesTheOwnerWhatTheCodeWants(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{}
	body := warm(t)
	for _, c := range []struct{ call, want string }{
		{`schedule("f", after="3d")`, `{"name":"f","function":"f","after":"3d"}`},
		{`schedule("f", after=1.5, name="n")`, `{"name":"n","function":"f","after":"1500ms"}`},
		{`schedule("f", after=0, name="z")`, `{"name":"z","function":"f","after":"0ms"}`},
		{`schedule({"id": "fun_1"}, after=timedelta(minutes=2), data={"é": [1, None]})`, `{"name":"fun_1","function":{"id":"fun_1"},"after":"120000ms","data":{"é":[1,null]}}`},
		{`schedule("f", at="2026-12-24T12:00:00Z", name="a")`, `{"name":"a","function":"f","at":"2026-12-24T12:00:00Z"}`},
		{`schedule("f", at=datetime(2026, 12, 24, 12), name="b")`, `{"name":"b","function":"f","at":"2026-12-24T12:00:00"}`},
		{`schedule("f", at=datetime(2026, 12, 24, 12, 0, 0, 5000, timezone(timedelta(hours=2))), name="c")`, `{"name":"c","function":"f","at":"2026-12-24T12:00:00.005000+02:00"}`},
	} {
		o.asked = nil
		j := body("from valstorm import schedule\nfrom datetime import datetime, timedelta, timezone\ns = " + c.call + "\nreturn [s.id, s.run_date_time.isoformat()]")
		j.Schedule, j.Run = o.schedule, "run_"+c.call
		var got []string
		completed(t, r, j, &got)
		if len(o.asked) != 1 {
			t.Fatalf("%s: asked for %+v", c.call, o.asked)
		}
		a := o.asked[0]
		asked := `{"name":"` + a.Name + `","function":` + string(a.Function)
		for field, text := range map[string]string{"after": a.After, "at": a.At} {
			if text != "" {
				asked += `,"` + field + `":"` + text + `"`
			}
		}
		if a.Data != nil {
			asked += `,"data":` + string(a.Data)
		}
		if asked += "}"; asked != c.want {
			t.Errorf("%s: asked for %s, not %s", c.call, asked, c.want)
		}
		if got[0] != "sci_"+a.Name || got[1] != "2026-03-04T12:00:00.120000+00:00" {
			t.Errorf("%s: the code was told %v", c.call, got)
		}
	}
}

func TestScheduleRefusesBadInputBeforeItAsks(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{}
	body := warm(t)
	for call, want := range map[string]string{
		`schedule("f")`:                                    "TypeError: give one of at and after",
		`schedule("f", at="x", after="y")`:                 "TypeError: give one of at and after",
		`schedule(None, after=1)`:                          "TypeError: function must be",
		`schedule({}, after=1)`:                            "TypeError: function must be",
		`schedule("f", after=-1)`:                          "ValueError: after must be 0 seconds",
		`schedule("f", after=float("nan"))`:                "ValueError: after must be 0 seconds",
		`schedule("f", after=True)`:                        "TypeError: after must be",
		`schedule("f", at=5)`:                              "TypeError: at must be",
		`schedule("f", after=1, data=[1])`:                 "TypeError: data must be a dict",
		`schedule("f", after=1, name=5)`:                   "TypeError: name must be a string",
		`schedule("f", after=1, data={"a":{1:2}})`:         "TypeError: data.a: a key is an int",
		`schedule("f", after=1, data={"a":"x"*300000})`:    "ValueError: the data is 300008 bytes",
		`schedule("f", after=1, name="a\ud800")`:           "TypeError: the name holds text with a lone surrogate",
		`schedule("f", after=10**400)`:                     "ValueError: after must be 0 seconds",
		`[schedule("f", after=1), schedule("f", after=2)]`: "ValueError: this run has scheduled 'f' before",
	} {
		j := body("from valstorm import schedule\n" + call)
		j.Schedule, j.Run = o.schedule, "run_"+call
		kind, _, _ := strings.Cut(want, ":")
		if err := failed(t, r, j, kind); !strings.HasPrefix(kind+": "+err.Message, want) || strings.Contains(err.Traceback, "_schedule.py") {
			t.Errorf("%s: %+v", call, err)
		}
	}
	if len(o.asked) != 1 { // the first of the two
		t.Errorf("asked for %+v", o.asked)
	}
}

func TestARefusalIsRaisedInTheCode(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{answer: func(wire.Item) wire.ScheduleAnswer {
		return wire.ScheduleAnswer{Error: &wire.Refusal{Code: "not_found", Message: "there is no function", Field: "function"}}
	}}
	j := job(t, execute("import valstorm\ntry:\n    valstorm.schedule('g', after=1)\nexcept valstorm.ScheduleRefused as e:\n    return [e.code, e.field, str(e)]"))
	j.Schedule = o.schedule
	var got []string
	if completed(t, r, j, &got); strings.Join(got, "|") != "not_found|function|there is no function" {
		t.Errorf("the code was told %v", got)
	}
}

func TestSecretsDoNotGoIntoItems(t *testing.T) {
	r, o := open(t, python.Config{Env: map[string]string{"TOKEN": "s3cret-value"}}), &owner{}
	j := job(t, execute("import os, valstorm\nvalstorm.schedule('g', after=1, name='a', data={'t': os.environ['TOKEN']})\ntry:\n    valstorm.schedule('g', after=1, name='a ' + os.environ['TOKEN'])\nexcept valstorm.ScheduleRefused as e:\n    return e.field"))
	j.Schedule, j.Env = o.schedule, []string{"TOKEN"}
	var field string
	completed(t, r, j, &field)
	if a := o.asked[0]; len(o.asked) != 1 || string(a.Data) != `{"t":"***"}` || field != "name" {
		t.Errorf("asked for %+v, refused for its %q", o.asked, field)
	}
}

// Code of a run may ask from any thread, and the worker is sound afterwards.
func TestThreadsSchedule(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{}
	body := warm(t)
	for range 3 {
		o.asked = nil
		j := body("from concurrent.futures import ThreadPoolExecutor as P\nfrom valstorm import schedule\nwith P(8) as p:\n    return sorted(s.id for s in p.map(lambda n: schedule('f', after=1, name=str(n)), range(40)))")
		j.Schedule = o.schedule
		var ids []string
		if completed(t, r, j, &ids); len(ids) != 40 || len(o.asked) != 40 || ids[0] != "sci_0" {
			t.Fatalf("%d ids of %d items: %v", len(ids), len(o.asked), ids)
		}
	}
}

// A thread that waits for an answer when its run ends must not read what is sent
// to the next: the worker goes.
func TestAThreadThatStillAsksCostsTheWorker(t *testing.T) {
	r := open(t, python.Config{})
	body := warm(t)
	before := pidOf(t, r, body("import os; return os.getpid()"))
	j := body("import threading, time\nfrom valstorm import schedule\nthreading.Thread(target=schedule, args=('f',), kwargs={'after': 1}).start()\ntime.sleep(0.2)")
	j.Schedule = func(context.Context, wire.Item) (wire.ScheduleAnswer, error) {
		time.Sleep(500 * time.Millisecond) // the run ends meanwhile
		return wire.ScheduleAnswer{ID: "sci_1"}, nil
	}
	completed(t, r, j, new(any))
	if after := pidOf(t, r, body("import os; return os.getpid()")); after == before {
		t.Error("the worker serves on")
	}
}

func TestOutsideOfARunNothingIsScheduled(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{}
	for name, body := range map[string]string{
		"a fork": "import os, valstorm\npid = os.fork()\nif pid == 0:\n    try:\n        valstorm.schedule('f', after=1)\n    except RuntimeError:\n        os._exit(7)\n    os._exit(1)\nreturn os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
		"a thread of the run before": "import threading, time, valstorm\n" +
			"out = []\ndef late():\n    time.sleep(0.3)\n    try:\n        valstorm.schedule('f', after=1)\n        out.append(1)\n    except RuntimeError:\n        out.append(7)\n" +
			"import builtins\nif hasattr(builtins, 'out'):\n    time.sleep(0.5)\n    return builtins.out[0]\nbuiltins.out = out\nthreading.Thread(target=late).start()",
	} {
		t.Run(name, func(t *testing.T) {
			j := warm(t)(body)
			j.Schedule = o.schedule
			var got any
			completed(t, r, j, &got)
			if name != "a fork" { // its thread wakes between two runs
				time.Sleep(600 * time.Millisecond)
				completed(t, r, j, &got)
			}
			if got != 7.0 || len(o.asked) > 0 {
				t.Errorf("got %v, asked for %+v", got, o.asked)
			}
		})
	}
}

// A run that waits for an owner which does not answer can be told to end.
func TestARunThatWaitsForItsOwnerEnds(t *testing.T) {
	r := open(t, python.Config{})
	silent := func(ctx context.Context, _ wire.Item) (wire.ScheduleAnswer, error) {
		<-ctx.Done()
		return wire.ScheduleAnswer{}, context.Cause(ctx)
	}
	j := job(t, execute("import valstorm\ntry:\n    valstorm.schedule('f', after=1)\nexcept valstorm.TimedOut:\n    try:\n        valstorm.schedule('g', after=1)\n    except RuntimeError as e:\n        print(e)\n    raise"))
	j.Schedule, j.Timeout = silent, 2*time.Second // the start of a worker is part of it
	ended, lines := run(t, r, j)
	if ended.Kind != wire.TimedOut || ended.Stopped != "asked" || len(lines) != 1 || !strings.Contains(lines[0].Text, "cannot schedule any more") {
		t.Errorf("ended %+v, said %v", ended, lines)
	}
}

// What code writes to the channel itself ends its run, not the runtime.
func TestAQuestionThatIsNoneEndsTheRun(t *testing.T) {
	r, o := open(t, python.Config{}), &owner{}
	j := job(t, execute("from valstorm import _scheduler\n_scheduler._ask(b'[1')"))
	j.Schedule = o.schedule
	if err := failed(t, r, j, "WorkerCrashed"); !strings.Contains(err.Message, "a question that is no JSON") {
		t.Errorf("%+v", err)
	}
	if completed(t, r, job(t, execute("return 1")), new(any)); len(o.asked) > 0 {
		t.Errorf("asked for %+v", o.asked)
	}
}

// A question whose answer the code did not read, since an exception of its own
// took it away, must not be read by the next run: the worker goes.
func TestAQuestionThatWasBrokenOffCostsTheWorker(t *testing.T) {
	r := open(t, python.Config{})
	body := warm(t)
	before := pidOf(t, r, body("import os; return os.getpid()"))
	j := body("import signal\nfrom valstorm import schedule\ndef late(*_):\n    raise ValueError\nsignal.signal(signal.SIGALRM, late)\nsignal.setitimer(signal.ITIMER_REAL, 0.1)\n" +
		"try:\n    schedule('f', after=1)\nexcept ValueError:\n    return 'broken off'")
	j.Schedule = func(context.Context, wire.Item) (wire.ScheduleAnswer, error) {
		time.Sleep(300 * time.Millisecond)
		return wire.ScheduleAnswer{ID: "sci_1"}, nil
	}
	var got string
	if completed(t, r, j, &got); got != "broken off" {
		t.Fatalf("returned %q", got)
	}
	if after := pidOf(t, r, body("import os; return os.getpid()")); after == before {
		t.Error("the worker serves on")
	}
}
