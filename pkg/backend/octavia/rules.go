package octavia

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// bySpecificity orders routes as they are tried: exact hosts before wildcards before none, exact paths before prefixes,
// longer before shorter. It is an order of the routes themselves, so that adding one never changes the order of the
// others.
func bySpecificity(a, b lb.Route) int {
	if c := cmp.Compare(hostRank(a), hostRank(b)); c != 0 {
		return c
	}
	if strings.HasPrefix(a.Host, "*") && len(a.Host) != len(b.Host) {
		return cmp.Compare(len(b.Host), len(a.Host))
	}
	return cmp.Or(cmp.Compare(pathRank(a), pathRank(b)), cmp.Compare(len(b.Path), len(a.Path)),
		strings.Compare(a.Host, b.Host), strings.Compare(a.Path, b.Path))
}

func hostRank(r lb.Route) int {
	switch {
	case r.Host == "":
		return 2
	case strings.HasPrefix(r.Host, "*"):
		return 1
	default:
		return 0
	}
}

func pathRank(r lb.Route) int {
	if r.Exact {
		return 0
	}
	return 1
}

// rulesOf returns what requests of a route have in common; nothing for a route that takes all.
func rulesOf(r lb.Route, port uint16, secure bool) (rules []Rule) {
	if r.Host != "" {
		rules = append(rules, hostRule(r.Host, port, secure))
	}
	path := strings.TrimSuffix(r.Path, "/")
	switch {
	case r.Exact:
		rules = append(rules, Rule{Type: "PATH", Compare: "EQUAL_TO", Value: r.Path})
	case path != "":
		// A prefix ends where a segment does.
		rules = append(rules, Rule{Type: "PATH", Compare: compareRegex, Value: "^" + regexp.QuoteMeta(path) + "(/|$)"})
	}
	return rules
}

const compareRegex = "REGEX"

// hostRule compares the Host header. It has the port in it where that is not the usual one, and hardly ever else.
func hostRule(host string, port uint16, secure bool) Rule {
	usual := uint16(80)
	if secure {
		usual = 443
	}
	suffix, wild := strings.CutPrefix(host, "*")
	switch {
	case port == usual && wild:
		return Rule{Type: "HOST_NAME", Compare: "ENDS_WITH", Value: suffix}
	case port == usual:
		return Rule{Type: "HOST_NAME", Compare: "EQUAL_TO", Value: host}
	}
	begin := "^"
	if wild {
		begin = ""
	}
	return Rule{Type: "HOST_NAME", Compare: compareRegex,
		Value: begin + regexp.QuoteMeta(suffix) + "(:" + strconv.Itoa(int(port)) + ")?$"}
}
