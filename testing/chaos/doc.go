// Package chaos breaks real processes on real disks, and lets the judge say
// whether Belfry noticed: kill -9 at the worst moments, processes that stand
// still, Python that is killed, executors apart from the node that are killed,
// drained, or frozen until they were given up, disks that are full, power that is
// cut, files that are damaged.
//
//	TestStorm    rounds of load and faults on one node with an executor beside its own,
//	             or in its place, each judged at its end
//	TestDamage   each kind of file under the data directory: bits, a half, the file
//	TestDisk…    a disk that Belfry fills itself
//	TestPower…   and its control: with fsync off, lost power loses what was acknowledged
//	TestThaw…    what a thawed executor has to say changes nothing; if it had, the judge would see
//	TestControls the judge misses what is taken from a real run, or added to it
//
// What a fault needs and this machine does not allow is left out, and said so on
// standard error: loop-mounted disks need root and Linux.
//
// # Concurrency
//
// One storm at a time; within it clients ask while the nemesis strikes.
package chaos
