package configmap

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of times: nobody waits shorter on purpose, and nothing longer than a day is a limit.
const (
	minTime = time.Second
	maxTime = 24 * time.Hour
)

// maxRanges is how many ranges a key may have.
const maxRanges = 256

// maxConnections is the largest limit of connections.
const maxConnections = 1_000_000

func (r *reading) readSources(v string) { r.options.Sources = r.ranges(KeySources, v) }

func (r *reading) readTrusted(v string) { r.options.TrustedProxies = r.ranges(KeyTrusted, v) }

func (r *reading) readProxy(v string) {
	for text := range strings.SplitSeq(v, ",") {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "accept":
			r.options.AcceptProxy = true
		case "send":
			r.options.SendProxy = true
		case "send-v2":
			r.options.SendProxyV2 = true
		default:
			r.badf(KeyProxy, `%s: give accept, send, "accept,send" or send-v2`, quote(v))
			return
		}
	}
}

func (r *reading) readMaxConns(v string) {
	r.options.Limits.Connections = r.count(KeyMaxConns, v, maxConnections)
}

func (r *reading) readMaxPerIP(v string) {
	r.options.Limits.PerClient = r.count(KeyMaxPerIP, v, maxConnections)
}

func (r *reading) readIdleTimeout(v string) { r.options.Timeouts.Idle = r.duration(KeyIdleTimeout, v) }

func (r *reading) readResponses(v string) { r.options.Responses = r.count(KeyResponses, v, 1000) }

// ranges reads ranges of addresses, and addresses, separated by commas; it returns nil when one is none.
func (r *reading) ranges(key, v string) []netip.Prefix {
	var out []netip.Prefix
	for text := range strings.SplitSeq(v, ",") {
		text = strings.TrimSpace(text)
		p, err := netip.ParsePrefix(text)
		if a, ofOne := netip.ParseAddr(text); ofOne == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			r.badf(key, "%s is not a range of addresses; give such as 10.0.0.0/8", quote(text))
			return nil
		}
		if p.Masked() != p {
			r.badf(key, "%s has address bits beyond its length; %s is meant", quote(text), p.Masked())
			return nil
		}
		out = append(out, p)
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	if out = slices.Compact(out); len(out) > maxRanges {
		r.badf(key, "%d ranges; give at most %d", len(out), maxRanges)
		return nil
	}
	return out
}

// duration reads a time such as "30s", in whole milliseconds; it returns 0 when that is none.
func (r *reading) duration(key, v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil || d < minTime || d > maxTime || d%time.Millisecond != 0 {
		r.badf(key, `%s is not a time from 1s to 24h; give one such as "30s" or "5m"`, quote(v))
		return 0
	}
	return d
}

// count reads a number from 1 to most; it returns 0 when that is none.
func (r *reading) count(key, v string, most int) int {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		r.badf(key, "%s is not a number from 1 to %d", quote(v), most)
		return 0
	}
	return n
}
