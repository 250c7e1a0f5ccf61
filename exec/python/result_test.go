package python_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/python"
	"github.com/belfryhq/belfry/exec/wire"
)

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func TestResultsOfAllKinds(t *testing.T) {
	r, does := open(t, python.Config{}), warm(t)
	for expression, want := range map[string]string{
		`None`:                           `null`,
		`True`:                           `true`,
		`-7`:                             `-7`,
		`10 ** 30`:                       `1000000000000000000000000000000`,
		`1.5e300`:                        `1.5e+300`,
		`-0.0`:                           `-0.0`,
		`"héllo 世界 🎉 \u2028 \x00 \" \\"`: `"héllo 世界 🎉 ` + "\u2028" + ` \u0000 \" \\"`,
		`[]`:                             `[]`,
		`(1, "a", None)`:                 `[1,"a",null]`,
		`{"b": {"a": [1, {"": False}]}}`: `{"b":{"a":[1,{"":false}]}}`,
		`__import__("collections").OrderedDict(a=1)`: `{"a":1}`,
		`__import__("enum").IntEnum("E", "A").A`:     `1`,
		`"x" * (256 * 1024 - 2)`:                     `"` + strings.Repeat("x", 256<<10-2) + `"`,
	} {
		t.Run(fmt.Sprintf("%.30s", expression), func(t *testing.T) {
			ended, _ := run(t, r, does("return "+expression))
			if ended.Kind != wire.Completed || string(ended.Result) != want {
				t.Errorf("ended %s with %.200s, not %.200s: %+v", ended.Kind, ended.Result, want, ended.Error)
			}
		})
	}
}

func TestResultsThatAreNoJSON(t *testing.T) {
	r, does := open(t, python.Config{}), warm(t)
	for name, c := range map[string]struct{ body, want string }{
		"an object":     {`return {"a": [0, object()]}`, "result.a[1]: an object is not JSON"},
		"a date":        {`import datetime; return {"when at": datetime.datetime.now()}`, `result["when at"]: a datetime is not JSON`},
		"a set":         {`return {1, 2}`, "result: a set is not JSON"},
		"bytes":         {`return b"x"`, "result: a bytes is not JSON"},
		"not a number":  {`return [float("nan")]`, "result[0]: nan is not JSON"},
		"infinity":      {`return {"x": float("-inf")}`, "result.x: -inf is not JSON"},
		"a number key":  {`return {"a": {1: "x"}}`, "result.a: a key is an int, not a string"},
		"itself":        {"a = []\na.append(a)\nreturn a", "nested deeper than 500 levels, or holds itself"},
		"depth":         {"a = []\nfor _ in range(600): a = [a]\nreturn a", "nested deeper than 500 levels"},
		"surrogates":    {`return {"a": "\ud800"}`, "lone surrogate"},
		"a coroutine":   {"async def f(): pass\nreturn [f()]", "result[0]: a coroutine is not JSON"},
		"misbehaving":   {"class C:\n    def __str__(self): raise SystemExit(1)\n    __repr__ = __str__\nreturn C()", "result: a C is not JSON"},
		"lying":         {"class D(dict):\n    def items(self): raise ValueError('liar')\nreturn D(a=1)", "liar"},
		"a digit limit": {"import sys\ngetattr(sys, 'set_int_max_str_digits', lambda n: None)(640)\nreturn 10 ** 5000 if hasattr(sys, 'set_int_max_str_digits') else object()", ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := failed(t, r, does(c.body), "ResultNotJSON")
			if !strings.Contains(err.Message, c.want) {
				t.Errorf("the message is %q, without %q", err.Message, c.want)
			}
		})
	}
}

func TestAResultWithAKeyTwiceIsRefused(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("class D(dict):\n    def items(self): return [('a', 1), ('a', 2)]\nreturn D(a=1)"))
	failed(t, r, j, "WorkerCrashed")
}

func TestAResultTooLarge(t *testing.T) {
	r := open(t, python.Config{})
	for _, expression := range []string{`"x" * (256 * 1024 - 1)`, `"é" * (128 * 1024)`, `"x" * (20 * 1024 * 1024)`} {
		err := failed(t, r, job(t, execute("return "+expression)), "ResultTooLarge")
		if !strings.Contains(err.Message, "262144 are allowed") {
			t.Errorf("the message is %q", err.Message)
		}
	}
}

func TestErrors(t *testing.T) {
	r := open(t, python.Config{})
	for name, c := range map[string]struct {
		code, kind, message string
		traceback           []string
	}{
		"raised": {
			"def helper(n):\n    return 1 / n  # the culprit\n\ndef execute(current_user, **kwargs):\n    return helper(0)\n",
			"ZeroDivisionError", "division by zero",
			[]string{`File "<function send mail v1>", line 5, in execute`, "return helper(0)", "return 1 / n  # the culprit"},
		},
		"chained": {
			execute("try:\n    {}['x']\nexcept KeyError as e:\n    raise RuntimeError('y') from e"),
			"RuntimeError", "y", []string{"KeyError: 'x'", "direct cause", "RuntimeError: y"},
		},
		"own class":     {"class Mine(Exception): pass\n" + execute("raise Mine('a', 1)"), "Mine", "('a', 1)", nil},
		"broken str":    {"class Mine(Exception):\n    def __str__(self): raise ValueError\n" + execute("raise Mine"), "Mine", "no readable message", nil},
		"exit":          {execute("import sys; sys.exit(3)"), "SystemExit", "3", []string{"in execute"}},
		"interrupt":     {execute("raise KeyboardInterrupt"), "KeyboardInterrupt", "", nil},
		"recursion":     {execute("def down(n): return down(n + 1) + 1\nreturn down(0)"), "RecursionError", "maximum recursion depth", []string{"in execute", "in down"}},
		"at load":       {"x = 1\nraise OSError('at load')\n" + execute("pass"), "OSError", "at load", []string{"line 2, in <module>", "raise OSError"}},
		"exit at load":  {"exit_ = __import__('sys').exit\nexit_(0)\n" + execute("pass"), "SystemExit", "0", nil},
		"syntax":        {"def execute(current_user, **kwargs)\n    pass\n", "SyntaxError", "", []string{`File "<function send mail v1>", line 1`}},
		"no execute":    {"x = 1\n", "ExecuteMissing", "def execute(current_user, **kwargs)", nil},
		"not callable":  {"execute = 1\n", "ExecuteMissing", "", nil},
		"lacks an arg":  {"def execute(current_user, must, **kwargs): pass", "TypeError", "'must'", nil},
		"import":        {execute("import no_such_module"), "ModuleNotFoundError", "no_such_module", nil},
		"surrogate":     {execute(`raise ValueError("\ud800")`), "ValueError", `\ud800`, nil},
		"base":          {"class B(BaseException): pass\n" + execute("raise B('b')"), "B", "b", nil},
		"generator end": {execute("raise GeneratorExit"), "GeneratorExit", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := failed(t, r, job(t, c.code), c.kind)
			if !strings.Contains(err.Message, c.message) {
				t.Errorf("the message is %q, without %q", err.Message, c.message)
			}
			for _, want := range c.traceback {
				if !strings.Contains(err.Traceback, want) {
					t.Errorf("the traceback lacks %q:\n%s", want, err.Traceback)
				}
			}
			if strings.Contains(err.Traceback, "belfry_shim") {
				t.Errorf("the traceback shows the shim:\n%s", err.Traceback)
			}
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	r := open(t, python.Config{})
	err := failed(t, r, job(t, execute(`raise ValueError("é" * 1000000)`)), "ValueError")
	if len(err.Message) > wire.MessageBytesMax || len(err.Traceback) > wire.TracebackBytesMax {
		t.Errorf("%d bytes of message, %d of traceback", len(err.Message), len(err.Traceback))
	}
	if !strings.Contains(err.Message, "bytes cut") || !strings.Contains(err.Traceback, "in execute") {
		t.Errorf("cut to %.200q", err.Traceback)
	}
}

func TestDataThatNamesCurrentUser(t *testing.T) {
	r := open(t, python.Config{})
	j := job(t, execute("return 1"))
	j.Data = jsontext.Value(`{"current_user":"mallory"}`)
	failed(t, r, j, "TypeError")
	j.Data = jsontext.Value(`{"self":1,"cls":2,"record":3}`)
	var n int
	completed(t, r, j, &n)
}
