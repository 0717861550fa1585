package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"10.88.100.1": "10.88.100.1:80", "10.88.100.1:7": "10.88.100.1:7", "fd00:88::100:1": "[fd00:88::100:1]:80",
		"[fd00:88::100:1]:443": "[fd00:88::100:1]:443",
	} {
		if got, err := parseTarget(in); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "tea", "10.88.100.1:", "10.88.100.1:99999", "[fd00::1]", ":80"} {
		if got, err := parseTarget(bad); err == nil {
			t.Errorf("%q: %s, want an error", bad, got)
		}
	}
}

// TestFaultGrammar checks what is refused before anything is touched.
func TestFaultGrammar(t *testing.T) {
	for args, want := range map[string]string{
		"lb1": "--help", "lb1 explode": "unknown", "lb1 partition": "from whom", "lb1 link-down now": "no more words",
		"partition": "--help", "heal lb1 lb2": "no more words",
	} {
		err := fault(t.Context(), &lab.Lab{}, strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", args, err, want)
		}
	}
}

func TestPrintReport(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ms := probe.Millis(time.Millisecond)
	var out bytes.Buffer
	err := printReport(&out, probe.Report{
		Sent: 10, Failed: 3, LongestGap: 105 * ms, P50: ms / 2, P95: ms, P99: 2 * ms, MaxLag: 60 * ms,
		Windows: []probe.Window{{Start: begun, Downtime: 105 * ms, Failed: 3, Open: true}},
		Reasons: map[string]int{"timeout": 2, "connection refused": 1},
	})
	want := `sent 10, failed 3, longest gap 105.0 ms, latency p50 0.5 ms p95 1.0 ms p99 2.0 ms
  away 105.0 ms (or more) from 03:04:05.000, 3 failed
       1 × connection refused
       2 × timeout
  this machine was busy: a probe started 60.0 ms late
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestPrintStatus(t *testing.T) {
	plan, err := fabric.NewPlan("x", fabric.Size{LBNodes: 1, Clients: 1})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = printStatus(&out, lab.Status{
		Name: "x", Cuts: []string{"client–lb1"},
		Nodes: []lab.NodeStatus{
			{Node: plan.Nodes[0], Processes: map[string]int{"nginx": 3, "lb-daemon": 2}, Frozen: 5},
			{Node: plan.Nodes[1], Up: true},
		},
	})
	want := `lab "x", the API server is down
NODE     ROLE           ADDRESS       LINK   HOLDS   PROCESSES
lb1      loadbalancer   10.88.0.11    DOWN   -       lb-daemon×2 nginx×3 (5 FROZEN)
client   client         10.88.0.201   up     -       -
cut: client–lb1
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestHelpNamesEveryFault(t *testing.T) {
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetArgs([]string{"fault", "--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"link-down", "link-up", "kill-daemon", "kill-keepalived", "kill-nginx", "freeze", "thaw",
		"partition A,B", "heal", "api-down", "api-up"} {
		if !strings.Contains(out.String(), kind) {
			t.Errorf("the help lacks %s", kind)
		}
	}
}
