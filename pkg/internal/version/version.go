// Package version knows which build of the project a program is. It never changes its mind while a program runs.
package version

import "runtime/debug"

// release is set by the linker: -X github.com/kubectl-lb/kubectl-lb/pkg/internal/version.release=v1.2.3.
var release string //nolint:gochecknoglobals // the linker can only set a variable

// String returns the version, such as "v1.2.3": the linker's, else the module's, else the commit's, else "unknown".
func String() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "unknown"
}
