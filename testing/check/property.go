package check

// Properties are the codes of what Commit and Finish judge of a log alone.
func Properties() []string {
	return []string{"L2", "L3", "L6", "L7", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "R1", "R2", "R3", "R4", "N1"}
}
