package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestStatusFits: however much is wrong, the status fits into an object.
func TestStatusFits(t *testing.T) {
	for name, text := range map[string]string{"plain": "x", "escaped": "<", "control": "\x01", "wide": "世", "broken": "\xff"} {
		t.Run(name, func(t *testing.T) {
			a := &Agent{opts: Options{Node: "lb1", Log: slog.New(slog.DiscardHandler)}}
			tr := newTracker(a)
			own := nodeconfig.NodeFinding{Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: "the likely cause"}}
			fs := []nodeconfig.NodeFinding{own}
			for i := range 5000 {
				fs = append(fs, nodeconfig.NodeFinding{
					Key:     lb.Key{Namespace: strings.Repeat("n", 63), Name: fmt.Sprintf("%0253d", i)},
					Finding: lb.Finding{Code: lb.CodeNodeRefused, Message: strings.Repeat(text, 400)},
				})
			}
			tr.findings("configuration", fs)
			var cs []nodeconfig.Conflict
			for i := range 20000 {
				cs = append(cs, nodeconfig.Conflict{
					Kind: nodeconfig.ConflictOwner, Address: number(i), Family: lb.IPv6, Other: macs[0].String(), Since: time.Now(),
				})
			}
			tr.conflicts("owners", cs)
			s := tr.snapshot()
			data, err := json.Marshal(s)
			if err != nil || len(data) > 768<<10 {
				t.Errorf("%d bytes, %v", len(data), err)
			}
			if s.Findings[0] != own || s.Findings[1].Key != (lb.Key{}) ||
				!strings.Contains(s.Findings[1].Message, fmt.Sprint("has ", len(fs)-len(s.Findings)+1, " more findings")) {
				t.Errorf("it begins with %.300v", s.Findings[:2])
			}
			if len(s.Findings) < 100 || len(s.Conflicts) != maxConflicts {
				t.Errorf("%d findings, %d conflicts", len(s.Findings), len(s.Conflicts))
			}
		})
	}
	few := []nodeconfig.NodeFinding{{Key: key("a"), Finding: lb.Finding{Message: strings.Repeat("世", 1000)}}}
	got := boundFindings(few, "lb1")
	if len(got) != 1 || len(got[0].Message) > maxMessage+3 || !strings.HasSuffix(got[0].Message, "世…") {
		t.Errorf("a long message became %.40q…", got)
	}
	if got := boundFindings(nil, "lb1"); len(got) != 0 {
		t.Errorf("of nothing comes %v", got)
	}
}
