package controller

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
)

func TestJudge(t *testing.T) {
	vip, other := []netip.Addr{netip.MustParseAddr("10.0.0.1")}, []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	both := []netip.Addr{vip[0], netip.MustParseAddr("fd00::1")}
	bad := lb.Finding{Code: lb.CodeBadPort, Field: "data[bind-port]", Message: "no"}
	stray := lb.Finding{Code: lb.CodeAddressStray, Message: "stray"}
	refused := lb.Finding{Code: lb.CodeNodeRefused, Message: "node lb1: no"}
	for _, tc := range []struct {
		name    string
		outcome plan.Outcome
		served  *lb.LoadBalancer
		health  backend.Health
		bindIP  string
		status  string
		keep    bool
	}{
		{
			name: "ready", outcome: plan.Outcome{VIPs: vip}, served: &lb.LoadBalancer{VIPs: vip},
			health: backend.Health{Ready: true}, bindIP: "10.0.0.1", status: "SUCCESS",
		},
		{
			name: "dual stack", outcome: plan.Outcome{VIPs: both}, served: &lb.LoadBalancer{VIPs: both},
			health: backend.Health{Reason: "1 of 3 nodes run it"},
			bindIP: "10.0.0.1,fd00::1", status: "PENDING : 1 of 3 nodes run it",
		},
		{
			name: "a warning does not matter", outcome: plan.Outcome{VIPs: vip, Findings: []lb.Finding{stray}},
			served: &lb.LoadBalancer{VIPs: vip}, health: backend.Health{Ready: true},
			bindIP: "10.0.0.1", status: "SUCCESS",
		},
		{
			name: "bad from the start", outcome: plan.Outcome{Findings: []lb.Finding{stray, bad}},
			status: "ERROR : LB0103 data[bind-port]: no",
		},
		{
			name:    "bad while the last good version serves",
			outcome: plan.Outcome{VIPs: vip, Stale: true, Findings: []lb.Finding{bad}},
			served:  &lb.LoadBalancer{VIPs: vip}, health: backend.Health{Ready: true},
			bindIP: "10.0.0.1", status: "ERROR : LB0103 data[bind-port]: no",
		},
		{
			name: "refused by a node", outcome: plan.Outcome{VIPs: vip}, served: &lb.LoadBalancer{VIPs: vip},
			health: backend.Health{Ready: true, Findings: []lb.Finding{refused}},
			bindIP: "10.0.0.1", status: "ERROR : LB0403 node lb1: no",
		},
		{
			name: "not handed over", outcome: plan.Outcome{VIPs: vip}, keep: true,
			status: "PENDING : its configuration could not be handed to the nodes yet",
		},
		{
			name: "move not handed over", outcome: plan.Outcome{VIPs: other}, served: &lb.LoadBalancer{VIPs: vip},
			health: backend.Health{Ready: true},
			bindIP: "10.0.0.1", status: "PENDING : its configuration could not be handed to the nodes yet",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := judge(tc.outcome, tc.served, tc.health)
			if v.bindIP != tc.bindIP || v.status != tc.status || v.keepIP != tc.keep {
				t.Errorf("bind-ip %q status %q keep %v", v.bindIP, v.status, v.keepIP)
			}
			if v.condition != conditionOf(v.status) {
				t.Errorf("condition %q of status %q", v.condition, v.status)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J\r\n", "ä\u202e\x00\xff", strings.Repeat("世", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s, 100)
		if len(got) > 100 || !utf8.ValidString(got) {
			t.Errorf("%d bytes %q", len(got), got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q is not printable in %q", r, got)
			}
		}
	})
}

// TestAfter: what may be a move leaves what is told, and so does what nobody can say yet.
func TestAfter(t *testing.T) {
	const none = `[{"code":"LB0405","message":"nobody"}]`
	const podless = `[{"code":"LB0206","message":"no pod"}]`
	for _, tc := range []struct {
		name     string
		v        verdict
		earlier  written
		status   string
		warnings string
	}{
		{"a move", verdict{status: "PENDING : no node", bindIP: "a", moving: true}, written{status: "SUCCESS", bindIP: "a"},
			"SUCCESS", ""},
		{"a move of what was not ready", verdict{status: "PENDING : no node", bindIP: "a", moving: true},
			written{status: "PENDING : new", bindIP: "a"}, "PENDING : no node", ""},
		{"another address", verdict{status: "PENDING : no node", bindIP: "b", moving: true},
			written{status: "SUCCESS", bindIP: "a"}, "PENDING : no node", ""},
		{"a new leader", verdict{status: "PENDING : no node yet", bindIP: "a", moving: true},
			written{status: "PENDING : LB0405 nobody", bindIP: "a", warnings: none}, "PENDING : LB0405 nobody", none},
		{"it is over", verdict{status: "SUCCESS", bindIP: "a"},
			written{status: "PENDING : LB0405 nobody", bindIP: "a", warnings: none}, "SUCCESS", ""},
		{"slices unread", verdict{status: "SUCCESS", bindIP: "a", stay: []lb.Code{lb.CodeNoEndpoints}},
			written{status: "SUCCESS", bindIP: "a", warnings: podless}, "SUCCESS", podless},
		{"slices read", verdict{status: "SUCCESS", bindIP: "a"},
			written{status: "SUCCESS", bindIP: "a", warnings: podless}, "SUCCESS", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.v.after(tc.earlier)
			warnings, err := warningsText(got.findings)
			if got.status != tc.status || warnings != tc.warnings || err != nil {
				t.Errorf("status %q, warnings %s, %v", got.status, warnings, err)
			}
		})
	}
}
