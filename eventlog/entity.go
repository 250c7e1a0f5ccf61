package eventlog

import "strings"

// Entity is a kind of thing that events are about.
type Entity string

// The kinds.
const (
	EntityFunction   Entity = "function"
	EntityUser       Entity = "user"
	EntityItem       Entity = "item"
	EntityTrigger    Entity = "trigger"
	EntityAutomation Entity = "automation"
	EntityRun        Entity = "run"
	EntityNode       Entity = "node"
	EntityPartitions Entity = "partitions"
)

// Prefixes of generated ids.
const (
	PrefixFunction   = "fun_"
	PrefixItem       = "sci_"
	PrefixTrigger    = "sts_"
	PrefixAutomation = "aut_"
	PrefixRun        = "run_"
)

// Partitions is the number of partitions: fixed, since ids hash to them.
const Partitions = 64

// NoPartition is the partition of events of the cluster itself.
const NoPartition = -1

// DefinitionPartition is where definitions with unique names live together, so
// that one decider sees all names.
const DefinitionPartition = 0

// PartitionOf is the partition of an entity. The prefix of an id does not
// count: a run has its item's id with another prefix and lives with it. The id
// of a trigger's run is drawn so that it falls into the trigger's partition.
func PartitionOf(entity Entity, id string) int {
	switch entity {
	case EntityFunction, EntityUser, EntityAutomation:
		return DefinitionPartition
	case EntityNode, EntityPartitions:
		return NoPartition
	case EntityItem, EntityTrigger, EntityRun:
	}
	return HashPartition(Suffix(id))
}

// HashPartition is the partition that a string hashes to (FNV-1a, folded).
func HashPartition(s string) int {
	const offset, prime = 14695981039346656037, 1099511628211
	sum := uint64(offset)
	for n := range len(s) {
		sum = (sum ^ uint64(s[n])) * prime
	}
	return int((sum ^ sum>>32) % Partitions)
}

// Suffix is an id without its prefix.
func Suffix(id string) string {
	if _, suffix, found := strings.Cut(id, "_"); found {
		return suffix
	}
	return id
}

// RunOfItem is the id of an item's run: derived, so that every owner names it alike.
func RunOfItem(item string) string { return PrefixRun + Suffix(item) }

// ItemOfRun is the inverse of RunOfItem.
func ItemOfRun(run string) string { return PrefixItem + Suffix(run) }
