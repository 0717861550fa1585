package configmap

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func (r *reading) readNamespace(v string) {
	if len(validation.IsDNS1123Label(v)) > 0 {
		r.badf(KeyNamespace, "%s is not a namespace's name", quote(v))
		return
	}
	r.namespace = v
}

func (r *reading) readService(v string) {
	if len(validation.IsDNS1123Label(v)) > 0 {
		r.badf(KeyService, "%s is not a Service's name", quote(v))
		return
	}
	r.service = v
}

func (r *reading) readTargetPort(v string) { r.targetPort, _ = r.portName(KeyTargetPort, v) }

// portName reads a port of a Service by number or name; false goes with a finding. Everything that looks like a number
// is taken for one, so that "99999" is not taken for a name.
func (r *reading) portName(key, v string) (string, bool) {
	if strings.Trim(v, "+-.0123456789") == "" {
		port := r.port(key, v)
		return strconv.Itoa(int(port)), port > 0
	}
	if len(validation.IsDNS1123Label(v)) > 0 {
		r.addf(lb.CodeBadPort, key, "%s is neither a port number nor a port's name", quote(v))
		return "", false
	}
	return v, true
}

func (r *reading) readBindPort(v string) { r.bindPort = r.port(KeyBindPort, v) }

func (r *reading) readSSLPort(v string) { r.sslPort = r.port(KeySSLPort, v) }

// port reads a port number; it returns 0 when that is none.
func (r *reading) port(key, v string) uint16 {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n == 0 {
		r.addf(lb.CodeBadPort, key, "%s is not a port; give a number from 1 to 65535", quote(v))
		return 0
	}
	return uint16(n)
}

func (r *reading) readProtocol(v string) {
	if r.protocol, r.secure = protocolOf(v); r.protocol == "" {
		r.badf(KeyProtocol, "%s is not a protocol; give %s", quote(v), protocolNames())
	}
}

func (r *reading) readHost(v string) { r.host = r.hostName(KeyHost, v) }

// hostName takes DNS names (RFC 1123, 2.1), also below "*.", only: a name goes into the data plane's configuration. It
// returns "" when that is none.
func (r *reading) hostName(key, v string) string {
	host := strings.ToLower(v)
	name, wild := strings.CutPrefix(host, "*.")
	if len(validation.IsDNS1123Subdomain(name)) > 0 || wild && len(host) > validation.DNS1123SubdomainMaxLength {
		r.badf(key, "%s is not a DNS name; give letters, digits and dashes in parts separated by dots, without a port; "+
			"the first part may be *", quote(v))
		return ""
	}
	for part := range strings.SplitSeq(name, ".") {
		if len(part) > validation.DNS1123LabelMaxLength {
			r.badf(key, "%s is not a DNS name; a part has more than 63 characters", quote(v))
			return ""
		}
	}
	return host
}

// pathPattern is the part of RFC 3986's path characters that means nothing to nginx or a shell. Escapes ("%20") are not
// among them, since nginx compares paths after it has decoded them, so that such a path would never match.
var pathPattern = regexp.MustCompile(`^/[A-Za-z0-9._~+,=:@/-]*$`)

func (r *reading) readPath(v string) { r.path = r.cleanPath(KeyPath, v) }

// cleanPath takes paths in the form in which requests are compared: decoded, without empty or dot segments. It returns
// "" when that is none.
func (r *reading) cleanPath(key, v string) string {
	if !strings.HasPrefix(v, "/") {
		r.badf(key, `%s is not a path; it must begin with "/"`, quote(v))
		return ""
	}
	if !pathPattern.MatchString(v) {
		r.badf(key, "%s: a path takes letters, digits and . _ ~ + , = : @ / - only", quote(v))
		return ""
	}
	segments := strings.Split(v[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			r.badf(key, `%s would match no request; leave out "//", "/./" and "/../"`, quote(v))
			return ""
		}
	}
	return v
}

func (r *reading) readPathType(v string) { r.exact = r.pathType(KeyPathType, v) }

// pathType reports whether a path is meant exactly.
func (r *reading) pathType(key, v string) bool {
	switch strings.ToLower(v) {
	case "exact":
		return true
	case "prefix":
	default:
		r.badf(key, "%s is neither Prefix nor Exact", quote(v))
	}
	return false
}

func (r *reading) readSSL(v string) { r.ssl = r.flag(KeySSL, v) }

// flag reads true or false.
func (r *reading) flag(key, v string) bool {
	switch strings.ToLower(v) {
	case "true":
		return true
	case "false":
	default:
		r.badf(key, "%s is neither true nor false", quote(v))
	}
	return false
}

func (r *reading) readRequestedIP(v string) {
	var addrs []netip.Addr
	for text := range strings.SplitSeq(v, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || a.Zone() != "" || a.Is4In6() {
			r.badf(KeyRequestedIP, "%s is not an IP address", quote(strings.TrimSpace(text)))
			return
		}
		if slices.ContainsFunc(addrs, func(b netip.Addr) bool { return lb.FamilyOf(a) == lb.FamilyOf(b) }) {
			r.badf(KeyRequestedIP, "two %s addresses; give at most one of each family", lb.FamilyOf(a))
			return
		}
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	r.address.Requested = addrs
}

func (r *reading) readPool(v string) {
	if len(validation.IsDNS1123Label(v)) > 0 {
		r.badf(KeyPool, "%s is not an address pool's name", quote(v))
		return
	}
	r.address.Pool = v
}

func (r *reading) readFamilies(v string) {
	var families []lb.Family
	for text := range strings.SplitSeq(v, ",") {
		known := []lb.Family{lb.IPv4, lb.IPv6}
		i := slices.IndexFunc(known, func(f lb.Family) bool { return strings.EqualFold(string(f), strings.TrimSpace(text)) })
		if i < 0 || slices.Contains(families, known[i]) {
			r.badf(KeyFamilies, `%s: give IPv4, IPv6 or "IPv4,IPv6"`, quote(v))
			return
		}
		families = append(families, known[i])
	}
	slices.Sort(families)
	r.address.Families = families
}

// readShare reads "[namespace/]name".
func (r *reading) readShare(v string) {
	namespace, name, foreign := strings.Cut(v, "/")
	if !foreign {
		namespace, name = r.origin.Namespace, v
	}
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Label(name)) > 0 {
		r.badf(KeyShare, "%s is not a share-key; give NAME or NAMESPACE/NAME", quote(v))
		return
	}
	r.share = namespace + "/" + name
}

func (r *reading) readShareWith(v string) {
	for text := range strings.SplitSeq(v, ",") {
		text = strings.TrimSpace(text)
		if text != "*" && len(validation.IsDNS1123Label(text)) > 0 {
			r.badf(KeyShareWith, "%s is not a namespace's name", quote(text))
			return
		}
		r.address.ShareWith = append(r.address.ShareWith, text)
	}
}

// readBindIP takes what can be an address and passes over the rest: the controller wrote the value and writes it anew.
func (r *reading) readBindIP(v string) {
	for text := range strings.SplitSeq(v, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || a.Zone() != "" || a.Is4In6() ||
			slices.ContainsFunc(r.address.Recorded, func(b netip.Addr) bool { return lb.FamilyOf(a) == lb.FamilyOf(b) }) {
			continue
		}
		r.address.Recorded = append(r.address.Recorded, a)
	}
	slices.SortFunc(r.address.Recorded, netip.Addr.Compare)
}

// readStatus takes no more of it than whether all was well.
func (r *reading) readStatus(v string) { r.address.Troubled = strings.HasPrefix(v, "ERROR") }

// badf adds a finding about a value that is not what its key takes.
func (r *reading) badf(key, format string, args ...any) {
	r.addf(lb.CodeBadValue, key, format, args...)
}

// addf adds a finding about a key.
func (r *reading) addf(code lb.Code, key, format string, args ...any) {
	f := lb.Finding{Code: code, Field: field(key), Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(r.findings, f) {
		r.findings = append(r.findings, f)
	}
}
