package agent

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// tlsName is the directory of the keyring, in the state directory.
const tlsName = "tls"

// workerGroup returns the group that nginx's workers run as, which has the name of their user: root's where there is
// none, so that nobody but root can read a key.
func (o Options) workerGroup() int {
	g, err := user.LookupGroup(o.Software.User)
	if err != nil {
		return 0
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return 0
	}
	return id
}

// takeMaterial keeps what the controller hands out.
func (a *Agent) takeMaterial(m keyring.Material) {
	var found []nodeconfig.NodeFinding
	if err := a.opts.keys.Take(m); err != nil {
		a.opts.Log.Error("certificates cannot be kept; the last good ones stay", "error", err)
		found = append(found, nodeconfig.NodeFinding{Finding: lb.Finding{
			Code: lb.CodeNodeRefused,
			Message: fmt.Sprintf("node %s cannot keep certificates; the last good ones stay: %s", a.opts.Node,
				strings.ReplaceAll(err.Error(), "\n", "; ")),
		}})
	}
	a.track.findings("material", found)
}
