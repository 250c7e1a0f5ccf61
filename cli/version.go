package cli

import (
	"fmt"
	"runtime/debug"
)

// Version is Belfry's.
const Version = "0.1.0-dev"

// build is Version with what the Go tool recorded of this binary.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	revision := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			revision = ", commit " + s.Value[:12]
		}
	}
	return fmt.Sprintf("%s (%s%s)", Version, info.GoVersion, revision)
}
