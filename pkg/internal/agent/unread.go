package agent

import (
	"fmt"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// refuseUnread refuses the load balancers of which the document says more than this program reads: without that they
// would be served as nobody asked for, such as in clear text.
func (i *isolation) refuseUnread(node string) {
	for _, e := range i.asked.LoadBalancers() {
		if unread := e.Unread(); len(unread) > 0 {
			i.refuse(e.Origin.Key, lb.Finding{
				Code: lb.CodeNodeRefused,
				Message: fmt.Sprintf("the lb-daemon of node %s, or the lb-controller, is too old for what it asks for (%.80q); "+
					"update both to one version", node, list(unread)),
			})
		}
	}
}

func list(features []nodeconfig.Feature) string {
	words := make([]string, 0, len(features))
	for _, f := range features {
		words = append(words, string(f))
	}
	return strings.Join(words, ", ")
}
