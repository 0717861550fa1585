package share

import (
	"maps"
	"slices"
	"strings"
)

// words joins reasons in the order of their names.
func words(reasons map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, reasons[name])
	}
	return strings.Join(all, "; ")
}

// broken says why the node is unfit.
func broken(in Input) string {
	why := words(in.Shut)
	if in.Announcing {
		return why
	}
	const dead = "keepalived does not run"
	if why == "" {
		return dead
	}
	return why + "; " + dead
}
