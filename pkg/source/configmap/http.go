package configmap

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The bounds of header changes.
const (
	maxHeaders     = 32
	maxHeaderName  = 46
	maxHeaderValue = 1024
)

// maxBody is the largest limit of a body, 1 PiB.
const maxBody = 1 << 50

func (r *reading) readRewrite(v string) { r.rewrite = r.cleanPath(KeyRewrite, v) }

func (r *reading) readRedirect(v string) { r.redirect = r.flag(KeyRedirect, v) }

func (r *reading) readGzip(v string) { r.options.HTTP.Gzip = r.flag(KeyGzip, v) }

func (r *reading) readAccessLog(v string) { r.options.AccessLog = r.flag(KeyAccessLog, v) }

func (r *reading) readConnectTime(v string) {
	r.options.Timeouts.Connect = r.duration(KeyConnectTime, v)
}

func (r *reading) readSendTime(v string) { r.options.Timeouts.Send = r.duration(KeySendTime, v) }

func (r *reading) readReadTime(v string) { r.options.Timeouts.Read = r.duration(KeyReadTime, v) }

func (r *reading) readBackend(v string) {
	word := strings.ToLower(v)
	if word == "https" || word == "grpcs" {
		r.options.BackendTLS = &lb.BackendTLS{}
	}
	switch word {
	case "grpc", "grpcs":
		r.options.HTTP.GRPC = true
	case "http", "https":
	default:
		r.badf(KeyBackend, "%s is not HTTP, HTTPS, GRPC or GRPCS", quote(v))
	}
}

func (r *reading) readRetries(v string) {
	r.retried = true
	if v != "0" {
		r.options.Retries = r.count(KeyRetries, v, 10)
	}
}

// sizePattern is a number and what it counts.
var sizePattern = regexp.MustCompile(`^([0-9]{1,16})([kmgKMG]?)$`)

func (r *reading) readMaxBody(v string) {
	m := sizePattern.FindStringSubmatch(v)
	var n int64
	if m != nil {
		n, _ = strconv.ParseInt(m[1], 10, 64)
		unit := int64(1) << map[string]int{"": 0, "k": 10, "m": 20, "g": 30}[strings.ToLower(m[2])]
		if n > maxBody/unit {
			n = 0
		}
		n *= unit
	}
	if n == 0 {
		r.badf(KeyMaxBody, `%s is not a size from 1 to 1048576g; give one such as "10m"`, quote(v))
	}
	r.options.HTTP.MaxBody = n
}

func (r *reading) readSetRequest(v string) { r.options.HTTP.Request.Set = r.headers(KeySetRequest, v) }

func (r *reading) readSetAnswer(v string) { r.options.HTTP.Response.Set = r.headers(KeySetAnswer, v) }

func (r *reading) readCutRequest(v string) {
	names := r.headerNames(KeyCutRequest, v)
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "host") }) {
		r.badf(KeyCutRequest, "no request of HTTP can be without Host; set another one with %s", KeySetRequest)
		return
	}
	r.options.HTTP.Request.Remove = names
}

func (r *reading) readCutAnswer(v string) {
	r.options.HTTP.Response.Remove = r.headerNames(KeyCutAnswer, v)
}

// headers reads a header from each line; it returns nil when one is none.
func (r *reading) headers(key, v string) []lb.Header {
	var out []lb.Header
	for line := range strings.Lines(v) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || value == "" {
			r.badf(key, "%s is not a header; give such as X-Team: tea", quote(line))
			return nil
		}
		if !r.headerName(key, name) {
			return nil
		}
		if len(value) > maxHeaderValue || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }) {
			r.badf(key, "header %s: the value takes at most %d printable characters of ASCII", name, maxHeaderValue)
			return nil
		}
		out = append(out, lb.Header{Name: name, Value: value})
	}
	if len(out) > maxHeaders {
		r.badf(key, "%d headers; give at most %d", len(out), maxHeaders)
		return nil
	}
	return out
}

// headerNames reads names separated by commas; it returns nil when one is none.
func (r *reading) headerNames(key, v string) []string {
	var out []string
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimSpace(name)
		if !r.headerName(key, name) {
			return nil
		}
		out = append(out, name)
	}
	if len(out) > maxHeaders {
		r.badf(key, "%d headers; give at most %d", len(out), maxHeaders)
		return nil
	}
	return out
}

// headerPattern is a field's name (RFC 9110, 5.1) without the characters that some programs take for more.
var headerPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

// kept returns the fields that say how a message is framed and passed on, and who the client is: those are the load
// balancer's own.
func kept() []string {
	return []string{
		"connection", "content-length", "date", "forwarded", "keep-alive", "proxy-connection", "server", "te", "trailer",
		"ssl-client-issuer-dn", "ssl-client-subject-dn", "ssl-client-verify", "transfer-encoding", "upgrade",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip",
	}
}

// headerName reports whether a header of that name can be changed; false goes with a finding.
func (r *reading) headerName(key, name string) bool {
	switch {
	case len(name) > maxHeaderName || !headerPattern.MatchString(name):
		r.badf(key, "%s is not a header's name; it takes letters, digits and -, at most %d", quote(name), maxHeaderName)
	case slices.Contains(kept(), strings.ToLower(name)):
		r.badf(key, "header %s is the load balancer's own and cannot be changed", name)
	default:
		return true
	}
	return false
}

// headerTwice finds headers that are changed in two ways.
func (r *reading) headerTwice() {
	for _, c := range []struct {
		set, cut string
		changes  lb.HeaderChanges
	}{
		{KeySetRequest, KeyCutRequest, r.options.HTTP.Request}, {KeySetAnswer, KeyCutAnswer, r.options.HTTP.Response},
	} {
		seen := map[string]bool{}
		add := func(key, name string) {
			if lower := strings.ToLower(name); seen[lower] {
				r.addf(lb.CodeConflictingKeys, key, "header %s is there twice, or set and removed; choose one", name)
			} else {
				seen[lower] = true
			}
		}
		for _, h := range c.changes.Set {
			add(c.set, h.Name)
		}
		for _, name := range c.changes.Remove {
			add(c.cut, name)
		}
	}
}
