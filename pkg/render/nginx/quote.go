package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// quote returns s as one token of nginx's configuration language, whatever s holds. It does not keep a directive that
// expands variables from expanding them; no text of a user's object goes to such a directive.
func quote(s string) string {
	return `"` + escape.Replace(s) + `"`
}

// escape is what nginx undoes in a token in quotes.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// maxStem keeps a file's name below the 255 bytes that file systems allow: a namespace may have 63 and a ConfigMap's
// name 253.
const maxStem = 200

// stem returns what the files and upstreams of a load balancer are named after. No two keys have the same: "_" is legal
// in no part of a key, so what is cut off is told by a third part that others lack.
func stem(k lb.Key) string {
	s := k.Namespace + "_" + k.Name
	if len(s) <= maxStem {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return s[:maxStem] + "_" + hex.EncodeToString(sum[:8])
}

// listenerName names what belongs to one listener; its port and transport tell them apart.
func listenerName(k lb.Key, s lb.Listener) string {
	port := strconv.Itoa(int(s.Port))
	if s.Transport() == lb.OverUDP {
		port += "u"
	}
	return stem(k) + "_" + port
}

// upstreamName names the upstream of a route by its place in the listener. Some of a hash comes first: nginx compares
// each name with all others, character by character, and with 5,000 that begin alike that is a quarter of the time
// that nginx -t and a reload take.
func upstreamName(k lb.Key, s lb.Listener, route int) string {
	return identifier(k, s)[:4] + "_" + listenerName(k, s) + "_" + strconv.Itoa(route)
}

// isKey reports whether both parts of a key are names that Kubernetes gives: a namespace is one label, an object's name
// several.
func isKey(k lb.Key) bool { return isLabel(k.Namespace) && isName(k.Name, 253) }

// isHost reports whether s is a DNS name in lower case (RFC 1123, 2.1).
func isHost(s string) bool { return isName(s, 63) }

// isName reports whether s is dot-separated labels of at most so many characters, 253 in all.
func isName(s string, label int) bool {
	for l := range strings.SplitSeq(s, ".") {
		if len(l) > label || !isAlnumDash(l) {
			return false
		}
	}
	return len(s) <= 253
}

// isLabel reports whether s is one DNS label.
func isLabel(s string) bool { return len(s) <= 63 && isAlnumDash(s) }

// isAlnumDash reports whether s is lower-case letters, digits and inner "-".
func isAlnumDash(s string) bool {
	for i := range len(s) {
		alnum := 'a' <= s[i] && s[i] <= 'z' || '0' <= s[i] && s[i] <= '9'
		inner := s[i] == '-' && i > 0 && i < len(s)-1
		if !alnum && !inner {
			return false
		}
	}
	return s != ""
}
