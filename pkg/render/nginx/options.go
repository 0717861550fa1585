package nginx

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// maxTime keeps every time below the 24 days at which nginx's own arithmetic ends.
const maxTime = 24 * time.Hour

// maxCount bounds the numbers that nginx would take as they are, maxRanges those of ranges.
const (
	maxCount  = 1_000_000
	maxRanges = 1000
	// maxRetries bounds the lines of an upstream too, for each try needs one.
	maxRetries = 10
)

// checkOptions returns the first of a listener's options that nginx would not take.
func checkOptions(s lb.Listener) (lb.Finding, bool) {
	for _, check := range []func(lb.Listener) (lb.Finding, bool){checkNumbers, checkRanges, checkProxy, checkUpstream} {
		if f, bad := check(s); bad {
			return f, true
		}
	}
	return checkHTTP(s)
}

func checkNumbers(s lb.Listener) (lb.Finding, bool) {
	o := s.Options
	for _, d := range []time.Duration{o.Timeouts.Connect, o.Timeouts.Send, o.Timeouts.Read, o.Timeouts.Idle} {
		if d < 0 || d > maxTime || d%time.Millisecond != 0 {
			return finding(lb.CodeBadValue, field(s)+".timeouts", "%s is not 0 to 24h in whole milliseconds", d), true
		}
	}
	if o.Retries < 0 || o.Retries > maxRetries {
		return finding(lb.CodeBadValue, field(s)+".retries", "%d is not 0 to %d", o.Retries, maxRetries), true
	}
	if o.Retries > 0 && s.Transport() != lb.OverTCP {
		return finding(lb.CodeBackendCannot, field(s)+".retries", "nobody knows which datagram to repeat"), true
	}
	for _, n := range []int{o.Responses, o.Limits.Connections, o.Limits.PerClient} {
		if n < 0 || n > maxCount {
			return finding(lb.CodeBadValue, field(s)+".options", "%d is not 0 to %d", n, maxCount), true
		}
	}
	return lb.Finding{}, false
}

func checkRanges(s lb.Listener) (lb.Finding, bool) {
	for _, ranges := range [][]netip.Prefix{s.Options.Sources, s.Options.TrustedProxies} {
		if len(ranges) > maxRanges {
			return finding(lb.CodeBadValue, field(s)+".options", "more than %d ranges", maxRanges), true
		}
		for _, p := range ranges {
			if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() {
				return finding(lb.CodeBadValue, field(s)+".options", "%q is not a range of addresses", p), true
			}
		}
	}
	return lb.Finding{}, false
}

func checkProxy(s lb.Listener) (lb.Finding, bool) {
	o := s.Options
	switch {
	case o.AcceptProxy && s.Transport() != lb.OverTCP,
		o.SendProxy && s.Protocol != lb.TCP && s.Protocol != lb.Passthrough, o.SendProxyV2:
		return finding(lb.CodeBackendCannot, field(s)+".options", "nginx can't do the PROXY protocol so for %s",
			s.Protocol), true
	case len(o.TrustedProxies) > 0 && !o.AcceptProxy && s.Protocol != lb.HTTP:
		return finding(lb.CodeBackendCannot, field(s)+".options", "%s has no proxies to trust", s.Protocol), true
	}
	return lb.Finding{}, false
}

// limitZones adds the memory in which the workers count together. The client zone holds 32,000 clients at once; the
// next one is turned away like one above the limit. nginx takes no zone of less than 8 pages, and a page may have
// 64 KiB.
func limitZones(t *render.Text, name string, l lb.Limits) {
	if l.Connections > 0 {
		t.Line("limit_conn_zone $server_port zone=" + name + "_all:512k;")
	}
	if l.PerClient > 0 {
		t.Line("limit_conn_zone $binary_remote_addr zone=" + name + "_client:2m;")
	}
}

// admission adds whose word counts for who the client is, and how many may come in.
func admission(t *render.Text, name string, o lb.Options) {
	if o.AcceptProxy {
		for _, p := range o.TrustedProxies {
			t.Line("set_real_ip_from", p.String()+";")
		}
	}
	if n := o.Limits.Connections; n > 0 {
		t.Line("limit_conn", name+"_all", strconv.Itoa(n)+";")
	}
	if n := o.Limits.PerClient; n > 0 {
		t.Line("limit_conn", name+"_client", strconv.Itoa(n)+";")
	}
}
