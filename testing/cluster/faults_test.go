package cluster_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/testing/check"
	"github.com/belfryhq/belfry/testing/cluster"
)

const (
	// quiet is how long the load goes on before the first fault: what is usual.
	quiet = 4 * time.Second
	// frozenFor is longer than it takes to give a node up.
	frozenFor = 8 * time.Second
	// saidMax is how much is shown of what a process said, in bytes.
	saidMax = 4000
	// goneFor is how long two of three nodes are away.
	goneFor = 6 * time.Second
)

// ordeal is three nodes, two executors, a load, and what befalls them.
type ordeal struct {
	t         *testing.T
	m         *cluster.Members
	executors []*cluster.Process
	roles     *roles
	load      *load
	faults    []check.Fault
	after     time.Duration // between a fault's end and the next
	disk      *cluster.Disk // of the last node; nil if no fault fills it
	fills     int           // how often the disk was full
	cuts      int           // how often the network was split
	splitFor  time.Duration // how long each time
}

// newOrdeal has a network between the nodes if one of the kinds splits it.
func newOrdeal(t *testing.T, rate int, after, ahead time.Duration, kinds ...string) *ordeal {
	t.Helper()
	o := &ordeal{t: t, m: cluster.NewMembers(t, 3, "--no-exec"), after: after, splitFor: splitFor}
	if slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "split ") }) {
		o.m.Connect()
	}
	if slices.Contains(kinds, fillDisk) {
		o.smallDisk()
	}
	o.m.Start()
	for _, name := range []string{"x1", "x2"} {
		o.executors = append(o.executors, start(o.m.Executor(name, "--slots", "8")))
	}
	t.Cleanup(o.said)
	o.roles = newRoles(t, o.m)
	o.roles.settled()
	o.load = newLoad(t, o.m, rate, ahead)
	time.Sleep(3*time.Second + quiet) // real processes, real time
	return o
}

// said shows, of a test that failed, what each process said last.
func (o *ordeal) said() {
	for _, p := range slices.Concat(o.m.Nodes, o.executors) {
		if o.t.Failed() && p.Stderr() != "" {
			said := p.Stderr()
			o.t.Logf("%s at %s, which runs: %v, said last:\n%s", p.Name, p.URL, p.Runs(), said[max(0, len(said)-saidMax):])
		}
	}
}

// kinds are the faults, in the words of the table.
func (o *ordeal) kinds() map[string]func(kind string) {
	kill := func(of func() *cluster.Process) func(string) {
		return func(kind string) { o.down(kind, of(), (*cluster.Process).Kill) }
	}
	stop := func(of func() *cluster.Process) func(string) {
		return func(kind string) {
			o.down(kind, of(), func(p *cluster.Process) {
				if err := p.Stop(); err != nil {
					o.t.Errorf("%s ended with %v: %s", p.Name, err, p.Stderr())
				}
			})
		}
	}
	all := map[string]func(string){
		"kill owner":      kill(o.roles.owner),
		"kill raft":       kill(o.roles.raft),
		"kill stream":     kill(o.roles.stream),
		"kill meta":       kill(o.meta),
		"stop owner":      stop(o.roles.owner),
		"stop raft":       stop(o.roles.raft),
		"stop stream":     stop(o.roles.stream),
		"freeze owner":    func(kind string) { o.freeze(kind, o.roles.owner()) },
		"freeze raft":     func(kind string) { o.freeze(kind, o.roles.raft()) },
		"kill executor":   o.killExecutor,
		fillDisk:          o.fillDisk,
		"two gone":        o.twoGone,
		"kill all":        o.killAll,
		"restart rolling": o.rolling,
	}
	for kind, of := range o.splits() {
		all[kind] = func(kind string) { o.split(kind, of()) }
	}
	return all
}

// strike does one fault and lets the cluster come to rest.
func (o *ordeal) strike(kind string) {
	o.t.Helper()
	o.kinds()[kind](kind)
	o.roles.settled()
	time.Sleep(o.after) // real processes, real time
}

// note ends a fault.
func (o *ordeal) note(kind, node, what string, from time.Time, more string) {
	if node != "" {
		kind += ", " + what
	}
	o.faults = append(o.faults, check.Fault{Kind: kind, Node: node, From: from, To: time.Now()})
	o.t.Logf("%s %s %s", kind, node, more)
}

// down takes a node away, and brings it back when the others have taken over.
func (o *ordeal) down(kind string, p *cluster.Process, how func(*cluster.Process)) {
	what, from := o.roles.what(p), time.Now()
	how(p)
	took := time.Since(from)
	time.Sleep(o.after)
	p.Start()
	o.note(kind, p.Name, what, from, fmt.Sprintf("ended after %v, ready again after %v", took.Round(time.Millisecond), p.Startup.Round(time.Millisecond)))
}

func (o *ordeal) freeze(kind string, p *cluster.Process) {
	what, from := o.roles.what(p), time.Now()
	p.Freeze()
	time.Sleep(frozenFor)
	p.Thaw()
	o.note(kind, p.Name, what, from, "")
}

// meta is who leads JetStream and nothing else: a node that also leads the stream
// is restarted, and hands over to whom chance has it.
func (o *ordeal) meta() *cluster.Process {
	o.t.Helper()
	for range 10 {
		status := o.roles.status()
		p := o.roles.node(status.Stream.MetaLeader)
		switch p.Name {
		case status.Stream.Leader:
			o.restart(p)
		case status.Leader:
			o.apartFrom(p)
		default:
			return p
		}
	}
	o.t.Log("no node leads JetStream alone")
	return o.roles.node(o.roles.status().Stream.MetaLeader)
}

// restart stops a process as an operator does, and starts it again.
func (o *ordeal) restart(p *cluster.Process) {
	o.t.Helper()
	if err := p.Stop(); err != nil {
		o.t.Errorf("%s ended with %v: %s", p.Name, err, p.Stderr())
	}
	p.Start()
	o.roles.settled()
}

func (o *ordeal) killExecutor(kind string) {
	x, from := o.executors[len(o.faults)%len(o.executors)], time.Now()
	x.Kill()
	time.Sleep(o.after)
	x.Start()
	o.note(kind, "", "", from, "")
}

// twoGone leaves one node: it says so instead of storing what it cannot.
func (o *ordeal) twoGone(kind string) {
	left := o.roles.owner()
	gone := slices.DeleteFunc(slices.Clone(o.m.Nodes), func(p *cluster.Process) bool { return p == left })
	from := time.Now()
	for _, p := range gone {
		p.Kill()
	}
	time.Sleep(goneFor)
	for k := range 2 { // once as a caller that waits, and once more
		asked := time.Now()
		op := o.load.ask(o.t.Context(), o.load.connect(left.URL), "alone", left.Name, "item", "create", fmt.Sprint("alone-", len(o.faults), "-", k), o.load.item(time.Now()))
		if op.Outcome != check.Unavailable && op.Outcome != check.Unknown {
			o.t.Errorf("with two of three nodes gone a create is %v after %v", op.Outcome, time.Since(asked))
		}
	}
	o.m.StartOf(gone...)
	o.note(kind, "", "", from, "")
}

func (o *ordeal) killAll(kind string) {
	from := time.Now()
	all := slices.Concat(o.m.Nodes, o.executors)
	for _, p := range all {
		p.Kill()
	}
	o.m.StartOf(all...)
	o.note(kind, "", "", from, fmt.Sprintf("ready again after %v", o.m.Nodes[0].Startup.Round(time.Millisecond)))
}

// rolling restarts each process, one after the other, as for a new version.
func (o *ordeal) rolling(kind string) {
	from := time.Now()
	for _, p := range slices.Concat(o.m.Nodes, o.executors) {
		o.restart(p)
	}
	o.note(kind, "", "", from, "")
	for _, op := range o.load.since(from) {
		if op.Client == "rider" && op.Outcome != check.Acknowledged {
			o.t.Errorf("%v failed while all was restarted: %v", &op, op.Outcome)
		}
	}
}

// since are the calls that were asked after a moment.
func (l *load) since(from time.Time) (ops []check.Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range l.ops {
		if op.Invoked.After(from) {
			ops = append(ops, op)
		}
	}
	return ops
}

// judge lets the judge see all of it, and prints the table. How late runs were is
// measured, not judged: that is the machine's, too, which tests share.
func (o *ordeal) judge() {
	o.t.Helper()
	end := time.Now()
	o.load.end(time.Minute)
	commits := cluster.Commits(o.t, o.m.Conn())
	v := check.Log(commits)
	v.Faults(o.faults)
	if slices.ContainsFunc(o.faults, func(f check.Fault) bool {
		return !strings.HasPrefix(f.Kind, "split owner") && strings.HasPrefix(f.Kind, "split ")
	}) {
		v.StaleFor = staleFor
	}
	v.History(o.load.ops)
	v.Lines(o.load.lines())
	v.Owned("n1", "n2", "n3")
	v.AllEnded()
	o.agree(v, commits[len(commits)-1].Seq)
	cluster.Report(o.t, v)
	if v.Counts()[string(api.Completed)] != len(v.Items) {
		o.t.Errorf("ended %v", v.Counts())
	}
	if err := v.Enough(check.Minimum{Ops: 50, Events: 500, Faults: len(o.faults), Ended: 100}); err != nil {
		o.t.Error(err)
	}
	fmt.Printf("cluster: %d operations, %d events in %d commits, %d faults, items ended %v\n%s",
		len(o.load.ops), v.Events, v.Commits, len(o.faults), v.Counts(), table(o.load.rows(o.faults, end)))
}

// Three nodes and two executors under load, and each of them lost in turn:
// nothing is lost, doubled or stuck, and nothing waits for longer than a
// successor needs. FAULTS are the kinds, with commas between, FAULTS_TIMES how
// often each strikes, FAULTS_RATE the runs due each second.
func TestFaultsByRole(t *testing.T) {
	t.Parallel()
	kinds := []string{"kill owner", fillDisk}
	if asked := os.Getenv("FAULTS"); asked != "" {
		kinds = strings.Split(asked, ",")
	}
	o := newOrdeal(t, fromEnv(t, "FAULTS_RATE", 20), time.Duration(fromEnv(t, "FAULTS_AFTER", 4))*time.Second, farAhead, kinds...)
	for range fromEnv(t, "FAULTS_TIMES", 1) {
		for _, kind := range kinds {
			o.strike(kind)
		}
	}
	o.judge()
}
