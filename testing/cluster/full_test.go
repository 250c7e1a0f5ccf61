package cluster_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/testing/cluster"
)

const (
	// filledFor is how long a node may take to end once its disk is full: as long as
	// a stop may.
	filledFor = 45 * time.Second
	// diskMegabytes is room for hours of load.
	diskMegabytes = 8 << 10
)

// fillDisk is the kind of a fault that needs a disk.
const fillDisk = "fill disk"

// smallDisk has the node that is to be filled keep its data on a disk of its own.
func (o *ordeal) smallDisk() {
	o.t.Helper()
	disk, err := cluster.NewDisk(o.t, diskMegabytes)
	if err != nil {
		cluster.LeftOut(fillDisk, err)
		return
	}
	o.disk = disk
	o.filled().On(disk)
}

// filled is the node whose disk fills.
func (o *ordeal) filled() *cluster.Process { return o.m.Nodes[len(o.m.Nodes)-1] }

// fillDisk takes all room from a node, which says so and ends, after it has given
// its partitions away; it comes back when there is room. Without a disk of its own
// the fault is left out.
func (o *ordeal) fillDisk(kind string) {
	if o.disk == nil {
		return
	}
	p := o.filled()
	if o.fills++; o.fills%2 == 0 { // without a disk nobody can lead Raft either
		o.lead(p)
	}
	what, from := o.roles.what(p), time.Now()
	if err := o.disk.Fill(); err != nil {
		o.t.Fatal(err)
	}
	o.endsFull(p, p.Wait(filledFor))
	took := time.Since(from)
	// Started without room it ends, or waits for it, and in any case says so. What it
	// held when it ended was room for a moment.
	err := o.disk.Fill()
	if err == nil {
		err = p.Begin()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	until(o.t, p.Name+" says that there is no room", func() bool {
		return strings.Contains(p.Stderr(), "no space left") || strings.Contains(p.Stderr(), "make room")
	})
	p.Kill()
	if err := o.disk.Free(); err != nil {
		o.t.Fatal(err)
	}
	p.Start()
	o.note(kind, p.Name, what, from, fmt.Sprintf("ended after %v, ready again after %v", took.Round(time.Millisecond), p.Startup.Round(time.Millisecond)))
}

// endsFull says that a node ended as one does whose disk is full: in good order, with
// a line that says what to do. Whether there was time to give all away depends on who
// led the stream: the others take the rest.
func (o *ordeal) endsFull(p *cluster.Process, err error) {
	o.t.Helper()
	said := p.Stderr()
	last := said[strings.LastIndex(strings.TrimSuffix(said, "\n"), "\n")+1:]
	if err == nil || err.Error() != "exit status 1" || !strings.HasPrefix(last, "belfry: the disk of ") || !strings.Contains(last, "make room and start the node again") {
		o.t.Errorf("with its disk full %s ended with %v: %s", p.Name, err, said[max(0, len(said)-saidMax):])
	}
}
