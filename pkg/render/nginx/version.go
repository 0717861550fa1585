package nginx

import (
	"cmp"
	"fmt"
)

// atLeast reports whether nginx's version, such as "1.22.1", is one or a later one. A version that is not known is the
// oldest that is supported.
func atLeast(version string, major, minor, patch int) bool {
	var a, b, c int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &a, &b, &c); n != 3 {
		return false
	}
	return cmp.Or(cmp.Compare(a, major), cmp.Compare(b, minor), cmp.Compare(c, patch)) >= 0
}

// SparesKept reports whether an nginx of that version lets kept connections outlive a reload until their next request,
// which it answers with "Connection: close" (keepalive_min_timeout, 1.27.4). An older one closes those that are idle at
// once, and a request that is on its way just then is lost.
func SparesKept(version string) bool { return atLeast(version, 1, 27, 4) }

// http2Directive reports whether HTTP/2 is a directive; before, it is an option of the listening socket.
func (in Input) http2Directive() bool { return atLeast(in.Version, 1, 25, 1) }
