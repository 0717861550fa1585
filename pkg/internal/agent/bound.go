package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The bounds of a status. It has to fit into an object, which ends at 1 MiB: of one that does not, nothing would be
// stored, and the node would look dead. Addresses and groups take 200 KiB for ten thousand of them.
const (
	// maxMessage is the longest message of a finding, and maxFindings what all of them take, in bytes.
	maxMessage  = 1 << 10
	maxFindings = 384 << 10
	// findingFrame is what JSON adds to the texts of a finding.
	findingFrame = 100
	// maxConflicts is how many conflicts there are, of 200 bytes each.
	maxConflicts = 500
)

// boundFindings returns the findings, sorted by load balancer, that there is room for, and says how many there is none
// for.
func boundFindings(fs []nodeconfig.NodeFinding, node string) []nodeconfig.NodeFinding {
	out := make([]nodeconfig.NodeFinding, 0, len(fs))
	room := maxFindings
	for _, f := range fs {
		f.Message = strings.ToValidUTF8(f.Message, "?") // or each byte becomes six in JSON
		if len(f.Message) > maxMessage {
			f.Message = strings.ToValidUTF8(f.Message[:maxMessage], "") + "…"
		}
		if room -= findingFrame + len(f.Key.Namespace) + len(f.Key.Name) + quoted(f.Message); room < 0 {
			break
		}
		out = append(out, f)
	}
	if left := len(fs) - len(out); left > 0 {
		own := slices.IndexFunc(out, func(f nodeconfig.NodeFinding) bool { return f.Key != (lb.Key{}) })
		out = slices.Insert(out, max(own, 0), nodeconfig.NodeFinding{Finding: lb.Finding{
			Code: lb.CodeNodeRefused,
			Message: fmt.Sprintf("node %s has %d more findings than its status has room for; "+
				"deal with the others first", node, left),
		}})
	}
	return out
}

// quoted is the most bytes that a text takes in JSON, which makes up to six bytes of one.
func quoted(text string) int {
	n := 0
	for _, b := range []byte(text) {
		if b < ' ' || strings.IndexByte(`"\<>&`, b) >= 0 {
			n += len(`\u0000`)
		} else {
			n++
		}
	}
	return n
}

// boundConflicts returns the conflicts, sorted, that there is room for.
func boundConflicts(cs []nodeconfig.Conflict) []nodeconfig.Conflict {
	return cs[:min(len(cs), maxConflicts)]
}
