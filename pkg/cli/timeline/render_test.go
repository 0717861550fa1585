package timeline

import (
	"encoding/xml"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/drill"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var update = flag.Bool("update", false, "write the golden files")

func m(ms float64) v1alpha1.Millis { return v1alpha1.Millis(ms * float64(time.Millisecond)) }

func p(ms float64) *v1alpha1.Millis { v := m(ms); return &v }

func span(from, to float64) v1alpha1.FailoverSpan {
	return v1alpha1.FailoverSpan{FromMillis: m(from), ToMillis: m(to)}
}

// crash is a report of n runs of a crash, with gaps that differ; the one that fails is counted from 1.
func crash(n, fails int) *v1alpha1.FailoverReport {
	r := &v1alpha1.FailoverReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindFailoverReport},
		Started:  metav1.NewTime(time.Date(2026, 11, 23, 8, 30, 0, 0, time.UTC)), By: "jane@example.com", Client: "v0.2.0",
		Cluster: "5b2c7c1e-6f2b-4c0e-9d0a-2f6c9a0f3c11",
		Plan: v1alpha1.FailoverPlan{
			Node: "lb1", Kind: nodeconfig.DrillCrash, MaxGapMillis: m(500), Count: n, DurationMillis: m(20000),
			HoldMillis: m(1000), ProbeIntervalMillis: m(10), ProbeTimeoutMillis: m(800),
			Nodes: []string{"lb1", "lb2", "lb3"},
		},
	}
	for i, to := range []string{"lb2", "lb3"} {
		a := netip.MustParseAddr([]string{"192.0.2.10", "2001:db8:0:1::10"}[i])
		r.Plan.Addresses = append(r.Plan.Addresses, v1alpha1.FailoverAddress{
			Address: a, Namespace: "shop", Name: []string{"tea", "coffee"}[i], Group: 4 * i, Successor: to,
		})
		r.Plan.Targets = append(r.Plan.Targets, v1alpha1.FailoverTarget{
			Address: netip.AddrPortFrom(a, 80), Protocol: lb.HTTP, Path: "/", Namespace: "shop", Name: "tea",
		})
	}
	for i := range n {
		r.Runs = append(r.Runs, crashRun(r, i+1, float64(137+(i*29)%61), i+1 == fails))
	}
	r.Summary = drill.Summarize(r.Runs)
	return r
}

func crashRun(r *v1alpha1.FailoverReport, number int, gap float64, fails bool) v1alpha1.FailoverRun {
	run := v1alpha1.FailoverRun{
		Number: number, ID: "k3v7q2m9x1ab", Result: v1alpha1.FailoverPassed, Ordered: r.Started,
		FaultMillis: p(31), TakeoverMillis: p(31 + gap - 9), EndedMillis: p(1260), RestoredMillis: p(8710),
		BeginMillis: m(-620), EndMillis: m(8730), ReturnGapMillis: p(60), NoiseMillis: p(0), GapMillis: p(gap),
	}
	end := 31 + gap
	if fails {
		run.Result, run.Message = v1alpha1.FailoverGapExceeded, "192.0.2.10:80 gave no answer for more than 500ms"
		run.TakeoverMillis, end, run.GapMillis = nil, 830, p(799)
	}
	for i, a := range r.Plan.Targets {
		probe := v1alpha1.FailoverProbe{
			Address: a.Address, Sent: 935, Lost: 15 - i, GapMillis: m(gap - float64(4*i)), MedianMillis: m(0.42),
			Silences: []v1alpha1.FailoverSilence{{FailoverSpan: span(31, end-float64(4*i))},
				{FailoverSpan: span(5000, 5060), Late: true}}, Reasons: map[string]int{"timeout": 15 - i},
		}
		for at := 34.0; at < end; at += 10 {
			probe.LostAt = append(probe.LostAt, m(at))
		}
		run.Targets = append(run.Targets, probe)
		run.Sent += probe.Sent
		run.Lost += probe.Lost
		move := v1alpha1.FailoverMove{Address: r.Plan.Addresses[i].Address}
		if !fails {
			move.To, move.AfterMillis = r.Plan.Addresses[i].Successor, p(gap-9-float64(3*i))
		}
		run.Moves = append(run.Moves, move)
	}
	if !fails {
		run.Owners = append(run.Owners,
			v1alpha1.FailoverOwner{Node: "lb1", FailoverSpan: span(-620, 36), Addresses: 2},
			v1alpha1.FailoverOwner{Node: "lb1", FailoverSpan: span(7680, 8730), Addresses: 2},
			v1alpha1.FailoverOwner{Node: "lb2", FailoverSpan: span(end-9, 7681), Addresses: 1},
			v1alpha1.FailoverOwner{Node: "lb3", FailoverSpan: span(end-12, 7683), Addresses: 1})
	} else {
		run.Owners = append(run.Owners,
			v1alpha1.FailoverOwner{Node: "lb1", FailoverSpan: span(-620, 36), Addresses: 2},
			v1alpha1.FailoverOwner{Node: "lb1", FailoverSpan: span(830, 8730), Addresses: 2})
	}
	return run
}

// byReports is a drill of which nothing was probed.
func byReports() *v1alpha1.FailoverReport {
	r := crash(1, 0)
	r.Plan.Targets, r.Plan.Kind = nil, nodeconfig.DrillDrain
	r.Plan.Warnings = []string{"during the test lb2 alone carries everything"}
	run := &r.Runs[0]
	run.Targets, run.GapMillis, run.ReturnGapMillis, run.NoiseMillis, run.Sent, run.Lost = nil, nil, nil, nil, 0, 0
	r.Summary = drill.Summarize(r.Runs)
	return r
}

func TestRenderGolden(t *testing.T) {
	for name, r := range map[string]*v1alpha1.FailoverReport{
		"one": crash(1, 0), "twenty": crash(20, 0), "failed": crash(3, 3), "reports": byReports(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Render(r)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got (-update writes it):\n%s", diff)
			}
			wellFormed(t, string(got))
		})
	}
}

// wellFormed checks that the tags of the page match, and that it asks for nothing from elsewhere.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	for _, not := range []string{"<script", "src=", "href=", "url(", "@import", "<no value>", "NaN", "%!", "ZgotmplZ"} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %q", not)
		}
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); err != nil {
			if err.Error() != "EOF" {
				t.Errorf("the page is not well-formed: %v", err)
			}
			return
		}
	}
}

// Whatever names hold, they stay text.
func TestRenderEscapes(t *testing.T) {
	const evil = `</title></svg><script>alert(1)</script>"'><img onerror=x>`
	r := crash(1, 1)
	r.By, r.Client, r.Cluster, r.Plan.Node, r.Plan.Kind = evil, evil, evil, evil, evil
	r.Plan.Nodes[0], r.Plan.Addresses[0].Name, r.Plan.Addresses[0].Successor = evil, evil, evil
	r.Plan.Warnings = []string{evil}
	run := &r.Runs[0]
	run.ID, run.Message, run.Moves[0].To, run.Owners[0].Node = evil, evil, evil, evil
	run.Targets[0].Reasons = map[string]int{evil: 1}
	text, err := Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "<script") || strings.Contains(s, "<img") || strings.Count(s, "</svg>") != 2 {
		t.Error("a name has become markup")
	}
	wellFormed(t, string(text))
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		from, to float64
		n        int
		first    string
	}{
		{-620, 8730, 9, "0 s"}, {0, 250, 6, "0 ms"}, {-30, 70, 11, "-30 ms"}, {-1000, 120000, 7, "0 s"}, {0, 1, 1, "0 ms"},
	} {
		got := ticks(scale{m(c.from), m(c.to)})
		if len(got) != c.n || got[0].Label != c.first {
			t.Errorf("%v to %v: %d ticks, first %q; want %d, %q", c.from, c.to, len(got), got[0].Label, c.n, c.first)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("lb1", "message", 100.0, 200.0, 50.0)
	f.Add("<b>", "\x00\xff", -1e12, 1e12, 0.0)
	f.Fuzz(func(t *testing.T, name, message string, from, to, fault float64) {
		r := crash(2, 2)
		r.Plan.Node, r.Plan.Nodes[0], r.Runs[1].Message = name, name, message
		r.Runs[0].BeginMillis, r.Runs[0].EndMillis, r.Runs[0].FaultMillis = m(from), m(to), p(fault)
		text, err := Render(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "NaN") && !strings.Contains(name+message, "NaN") {
			t.Error("a place that is no number")
		}
	})
}
