package cli

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// poison is a text as somebody writes it who wants a terminal to show what is not so: a line of its own, a colour, a
// direction of writing.
const poison = "x\nFORGED\r\x1b[31mred\u202e\u009b2J\x07"

// hostileWorld has that text wherever an object's may be.
func hostileWorld(t *testing.T, name string) *world {
	t.Helper()
	w := newWorld(t, name)
	w.serve("tea", "10.88.101.1", "lb1", 80)
	w.object("bad", map[string]string{
		"target-service-name": poison, "bind-port": poison, "host": poison, "protocol": poison, "share-key": poison,
		poison[:1] + "-key": poison, "status": "ERROR : " + poison, "bind-ip": poison,
	})
	w.annotate("tea", configmap.AnnotationWarnings, `[{"code":"LB0206","field":"x\u001b[2J","message":"x\nFORGED\u202e"}]`)
	w.object("pending", map[string]string{"target-service-name": "tea", "status": "PENDING : " + poison})
	for n, s := range w.statuses {
		s.Versions = nodeconfig.Versions{Daemon: poison, Nginx: poison, Keepalived: poison}
		s.Wanted.Generation = poison
		s.Share = nodeconfig.Share{State: nodeconfig.ShareUnfit, Reason: poison}
		s.Drill = &nodeconfig.DrillStatus{ID: poison, Kind: poison, State: poison, Message: poison}
		s.Conflicts = []nodeconfig.Conflict{
			{Kind: nodeconfig.ConflictVRID, Group: 1, Family: lb.IPv4, Other: poison},
			{Kind: poison, Group: 1, Family: lb.IPv4},
		}
		s.Findings = []nodeconfig.NodeFinding{{
			Key: lb.Key{Namespace: w.user, Name: "tea"}, Finding: lb.Finding{Code: poison, Field: poison, Message: poison},
		}}
		if n == "lb3" {
			s.Share.State = nodeconfig.ShareState(poison)
		}
	}
	w.publish()
	w.deploy()
	w.order("lb1", nodeconfig.Order{Drain: &nodeconfig.Drain{Since: w.now, By: poison, Reason: poison}})
	w.order("lb2", nodeconfig.Order{Drill: &nodeconfig.Drill{
		ID: "y", Kind: poison, Requested: w.now.Add(-5 * time.Second), By: poison,
	}})
	w.document("lb-node-odd", nodeconfig.AppNode, nodeconfig.KeyStatus, `{"version": 1, "node": "`+poison+`"}`)
	return w
}

// Whatever an object says, a terminal shows it on the line where it belongs.
func TestHostileText(t *testing.T) {
	w := hostileWorld(t, "hostile")
	for _, args := range []string{
		"status", "status -o wide", "status tea", "status bad", "status pending", "status -o json", "status -o yaml",
		"status -o kyaml", "status tea -o yaml", "nodes", "nodes -o wide", "nodes -o json", "nodes -o yaml", "nodes lb1",
		"version", "version -o yaml", "validate", "validate -o json", "validate -o yaml", "validate -l x=\x1b\nFORGED",
		"drain lb3", "drain lb3 --force --timeout 1s", "undrain lb3 --timeout 1s", "rebalance --timeout 1s",
		"failover test tea --dry-run", "failover test --node lb3 --dry-run --force", "failover test --node x\nFORGED",
		"failover test 10.88.101.1 --yes", "delete tea --wait --timeout 1s", "expose svc/x\nFORGED", "explain \x1b\nFORGED",
		"status --sort\nFORGED", "\nFORGED",
	} {
		t.Run(args, func(t *testing.T) {
			r := w.lb(t, strings.Split(args, " ")...)
			for stream, text := range map[string]string{"stdout": r.out, "stderr": r.errOut} {
				for line := range strings.SplitSeq(text, "\n") {
					if strings.HasPrefix(line, "FORGED") {
						t.Errorf("%s has a line that is an object's: %q", stream, line)
					}
					if i := strings.IndexFunc(line, func(c rune) bool {
						return unicode.IsControl(c) || unicode.In(c, unicode.Cf)
					}); i >= 0 {
						t.Errorf("%s has %q in %q", stream, line[i:min(len(line), i+4)], line)
					}
				}
			}
		})
	}
}
