package drill

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// Other is the error that another drill stands against a new one at that time, on whatever node: nobody could tell the
// consequences of two apart, and the second may take away the node that the first relies on. Nodes count that have left
// the fleet, or have never been in it, too: whoever ordered a drill there means to have one.
func Other(docs view.Documents, now time.Time) error {
	var names []string
	for _, n := range docs.Config.Fleet.Nodes {
		names = append(names, n.Name)
	}
	for n := range docs.Config.Orders {
		names = append(names, n)
	}
	for _, s := range docs.Statuses {
		names = append(names, s.Node)
	}
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		if docs.Drilled(n, now) {
			s, _ := docs.Status(n)
			return fmt.Errorf("another drill is under way on %s%s", n, drillWords(docs.Config.Orders[n].Drill, s.Drill, now))
		}
	}
	return nil
}

// drillWords say what drill it is, whose and since when, and how long one must wait for its end at most: what an order
// asks for is over by then even where its node has never heard of it (view.Documents, Drilled).
func drillWords(order *nodeconfig.Drill, status *nodeconfig.DrillStatus, now time.Time) string {
	var words string
	var latest time.Time
	switch {
	case order != nil:
		words = fmt.Sprintf(": %s, ordered %s ago", kindWord(order.Kind), ago(now, order.Requested))
		if order.By != "" {
			words += fmt.Sprintf(" by %q", order.By)
		}
		latest = order.Requested.Add(nodeconfig.MaxDrill + nodeconfig.StaleAfter)
	case status != nil:
		words = fmt.Sprintf(": %s, begun %s ago", kindWord(status.Kind), ago(now, status.Started))
		latest = status.Started.Add(nodeconfig.MaxDrill)
	}
	words += "; try again when it is over"
	if latest.After(now) {
		words += fmt.Sprintf(", in %s at the latest", duration.HumanDuration(latest.Sub(now)))
	}
	return words
}

// ago is the age of something, of which another's clock may say that it is still to come.
func ago(now, then time.Time) string { return duration.HumanDuration(max(0, now.Sub(then))) }

// kindWord quotes a kind that does not exist: whoever writes orders may write anything.
func kindWord(k nodeconfig.DrillKind) string {
	if k.Valid() {
		return string(k)
	}
	return fmt.Sprintf("%q", string(k))
}
