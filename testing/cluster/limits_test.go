package cluster_test

import (
	"reflect"
	"testing"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/cluster"
)

// A function's limits are in its record: the defaults, what a create and an
// update say, and what is read after a restart.
func TestTheLimitsOfAFunction(t *testing.T) {
	t.Parallel()
	p := cluster.New(t)
	p.Start()
	c := p.Client(api.Admin)
	code := "def execute(current_user, **kwargs):\n    return 1\n"
	processes, files := 8, 64
	in := api.FunctionInput{
		ID: "fun_0000000000000000limits", Name: text("limits"), Code: &code, Isolation: text("fresh"), Sandbox: text("none"), CPULimit: text("90s"),
		ProcessLimit: &processes, FileLimit: &files, OutputLimit: text("64KiB"), Env: &[]string{"API_KEY"},
	}
	check := func(when string, got api.Function, err error, want api.Function) {
		t.Helper()
		if err != nil {
			t.Fatal(when, err)
		}
		want.Meta, want.Code, want.Version, want.Description = got.Meta, code, 1, ""
		want.Timeout, want.MemoryLimit, want.Retry, want.OnExecutorLoss, want.Pool = got.Timeout, got.MemoryLimit, got.Retry, got.OnExecutorLoss, got.Pool
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s it is %+v, not %+v", when, got, want)
		}
	}
	defaults := api.Function{Isolation: "warm", ProcessLimit: 64, FileLimit: 256, OutputLimit: 1 << 20, Env: []string{}}
	check("with nothing said", create(t, c, "plain", code), nil, defaults)
	want := api.Function{Isolation: "fresh", Sandbox: "none", CPULimit: 90e9, ProcessLimit: 8, FileLimit: 64, OutputLimit: 64 << 10, Env: []string{"API_KEY"}}
	for _, when := range []string{"created", "created again"} {
		got, err := c.CreateFunction(t.Context(), in)
		check(when, got, err, want)
	}
	other := in
	other.Env = &[]string{"OTHER"}
	if _, err := c.CreateFunction(t.Context(), other); err == nil {
		t.Error("a create with the same id and another list of variables is taken for the same")
	}
	want.Isolation, want.CPULimit, want.Env = "warm", 0, []string{}
	got, err := c.UpdateFunction(t.Context(), api.FunctionInput{ID: in.ID, Isolation: text("warm"), CPULimit: text("0s"), Env: &[]string{}})
	check("updated", got, err, want)
	p.Kill()
	p.Start()
	c = p.Client(api.Admin)
	got, err = c.GetFunction(t.Context(), "limits")
	check("after a restart", got, err, want)
	got, err = c.GetFunction(t.Context(), "plain")
	check("after a restart", got, err, defaults)
	cluster.Judge(t, p.Conn())
}
