package drill

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// maxTargets bounds what is probed at once: a drill measures, it is no load test.
	maxTargets = 12
	// oneInterval is the time between two probes of one target alone, and manyInterval of each of several.
	oneInterval  = 5 * time.Millisecond
	manyInterval = 10 * time.Millisecond
	// notable is the number of intervals from which on a silence counts as one.
	notable = 3
)

// Wish is what a test was asked for. One of Node, Address and Key says where.
type Wish struct {
	Node    string
	Address netip.Addr
	Key     lb.Key

	Kind                   nodeconfig.DrillKind
	MaxGap, Duration, Hold time.Duration
	ProbeTimeout           time.Duration
	Count                  int
	// NoProbe leaves measuring to the nodes' reports.
	NoProbe bool
}

// Plan works out what a test would do. Objections are good reasons not to do it, which the user may override; an error
// says that it can't be done.
func Plan(w Wish, docs view.Documents, now time.Time) (plan v1alpha1.FailoverPlan, objections []string, err error) {
	placed := docs.Placed(now)
	named, node, err := w.locate(placed, docs, now)
	if err != nil {
		return plan, nil, err
	}
	if err := fitForDrill(docs, node, now); err != nil {
		return plan, nil, err
	}
	plan = v1alpha1.FailoverPlan{
		Node: node, Kind: w.Kind, Count: w.Count, MaxGapMillis: v1alpha1.Millis(w.MaxGap),
		DurationMillis: v1alpha1.Millis(w.Duration), HoldMillis: v1alpha1.Millis(w.Hold),
		Targets: []v1alpha1.FailoverTarget{},
	}
	for _, n := range docs.Config.Fleet.Nodes {
		plan.Nodes = append(plan.Nodes, n.Name)
	}
	for _, p := range placed {
		if slices.Contains(p.Holders, node) {
			plan.Addresses = append(plan.Addresses, v1alpha1.FailoverAddress{
				Address: p.Address, Namespace: p.Key.Namespace, Name: p.Key.Name, Group: p.Group,
				Successor: docs.Successor(p.Group, lb.FamilyOf(p.Address), now, node),
			})
		}
	}
	if len(plan.Addresses) == 0 {
		return plan, nil, fmt.Errorf("%s has no address, so there is nothing to fail over", node)
	}
	w.addTargets(&plan, named, node)
	interval := plan.ProbeIntervalMillis.Duration()
	if finest := notable * interval; len(plan.Targets) > 0 && w.MaxGap < finest {
		return plan, nil, fmt.Errorf("--max-gap %s is finer than probes that are %s apart can tell; give %s or more",
			w.MaxGap, interval, finest)
	}
	plan.Warnings = w.warnings(plan, docs, now)
	return plan, standbyObjections(plan, docs, now), nil
}

// Again judges a plan once more, by what is so now. It returns what Plan does of it.
func (w Wish) Again(plan v1alpha1.FailoverPlan, docs view.Documents, now time.Time) (objections []string, err error) {
	again, objections, err := Plan(w, docs, now)
	if err == nil && again.Node != plan.Node {
		return nil, fmt.Errorf("what was to fail over on %s is on %s by now", plan.Node, again.Node)
	}
	return objections, err
}

// locate finds the addresses that the user means and the node that has them.
func (w Wish) locate(placed []view.Placed, docs view.Documents, now time.Time) ([]view.Placed, string, error) {
	if w.Node != "" {
		return ofNode(placed, w.Node), w.Node, nil
	}
	what := w.Key.String()
	if w.Address.IsValid() {
		what = w.Address.String()
	}
	var named []view.Placed
	for _, p := range placed {
		if w.Address.IsValid() && p.Address == w.Address || !w.Address.IsValid() && p.Key == w.Key {
			named = append(named, p)
		}
	}
	if len(named) == 0 {
		return nil, "", fmt.Errorf("%s is not served by any node", what)
	}
	for _, p := range named {
		if len(p.Holders) > 1 {
			return nil, "", fmt.Errorf("%s is on %s at once; find out why first ('status' shows it)", p.Address,
				strings.Join(p.Holders, " and "))
		}
	}
	for _, p := range named {
		if len(p.Holders) == 1 {
			return named, p.Holders[0], nil
		}
	}
	return nil, "", fmt.Errorf("no node reports %s%s", what, silentNodes(docs, now))
}

func ofNode(placed []view.Placed, node string) []view.Placed {
	var out []view.Placed
	for _, p := range placed {
		if slices.Contains(p.Holders, node) {
			out = append(out, p)
		}
	}
	return out
}

func silentNodes(docs view.Documents, now time.Time) string {
	var names []string
	for _, s := range docs.Statuses {
		if s.Stale(now) {
			names = append(names, s.Node)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (silent: " + strings.Join(names, ", ") + ")"
}

// fitForDrill refuses what the daemon would refuse, and a second drill beside another.
func fitForDrill(docs view.Documents, node string, now time.Time) error {
	if err := Other(docs, now); err != nil {
		return err
	}
	if problem := docs.Problem(node, now); problem != "" {
		return fmt.Errorf("%s %s", node, problem)
	}
	return nil
}

// standbyObjections says which addresses nobody could take over, and which nodes would do so with another
// configuration than the one that serves now.
func standbyObjections(plan v1alpha1.FailoverPlan, docs view.Documents, now time.Time) []string {
	var out []string
	_, problems := docs.Standbys(plan.Node, now)
	for _, a := range plan.Addresses {
		if a.Successor == "" {
			out = append(out, fmt.Sprintf("nobody can take %s over (%s)", a.Address,
				cmp.Or(strings.Join(problems, "; "), "there is no other node")))
			break
		}
	}
	own, _ := docs.Status(plan.Node)
	var differ []string
	for _, a := range plan.Addresses {
		s, ok := docs.Status(a.Successor)
		same := s.Running.Generation == s.Wanted.Generation && s.Running.Fleet == own.Running.Fleet &&
			sameShards(s.Running.Shards, own.Running.Shards)
		if ok && !same && !slices.Contains(differ, a.Successor) {
			differ = append(differ, a.Successor)
		}
	}
	slices.Sort(differ)
	for _, n := range differ {
		out = append(out, fmt.Sprintf("%s would take over, but does not run the same configuration as %s", n, plan.Node))
	}
	return out
}

func sameShards(a, b map[string]int64) bool {
	for name, revision := range a {
		if b[name] != revision {
			return false
		}
	}
	return len(a) == len(b)
}

// addTargets chooses what is probed: the ports of what was named, else one port of each address, from every group in
// turn.
func (w Wish) addTargets(plan *v1alpha1.FailoverPlan, named []view.Placed, node string) {
	if w.NoProbe {
		return
	}
	perAddress := len(named) > 1 && w.Node != ""
	rounds := map[int][]v1alpha1.FailoverTarget{}
	inGroup := map[int]int{}
	for _, p := range ofNode(named, node) {
		// UDP answers nobody unasked, so it cannot be probed.
		probed := slices.DeleteFunc(slices.Clone(p.Listeners), func(l lb.Listener) bool {
			return l.Transport() != lb.OverTCP
		})
		for i, l := range probed {
			if i > 0 && perAddress {
				break
			}
			round := inGroup[p.Group]
			inGroup[p.Group]++
			rounds[round] = append(rounds[round], target(p, l))
		}
	}
	total := 0
	for round := 0; len(rounds[round]) > 0; round++ {
		total += len(rounds[round])
		plan.Targets = append(plan.Targets, rounds[round]...)
	}
	plan.Targets = plan.Targets[:min(total, maxTargets)]
	slices.SortFunc(plan.Targets, func(a, b v1alpha1.FailoverTarget) int { return a.Address.Compare(b.Address) })
	plan.ProbeTimeoutMillis = v1alpha1.Millis(w.ProbeTimeout)
	plan.ProbeIntervalMillis = v1alpha1.Millis(oneInterval)
	if len(plan.Targets) > 1 {
		plan.ProbeIntervalMillis = v1alpha1.Millis(manyInterval)
	}
}

// target is how a listener is probed: by a request for its first route, or by a connection.
func target(p view.Placed, l lb.Listener) v1alpha1.FailoverTarget {
	t := v1alpha1.FailoverTarget{
		Address: netip.AddrPortFrom(p.Address, l.Port), Protocol: l.Protocol,
		Namespace: p.Key.Namespace, Name: p.Key.Name,
	}
	if l.Protocol == lb.HTTP {
		t.Path = "/"
		if len(l.Routes) > 0 {
			t.Host, t.Path = strings.Replace(l.Routes[0].Host, "*", "probe", 1), cmp.Or(l.Routes[0].Path, "/")
		}
	}
	return t
}

// warnings tell what speaks against the test without forbidding it.
func (w Wish) warnings(plan v1alpha1.FailoverPlan, docs view.Documents, now time.Time) []string {
	var out []string
	if expected := Expected(w.Kind, docs.Config.Fleet.Timing); expected > w.MaxGap {
		out = append(out, fmt.Sprintf("the fleet's timing (an advert every %s) makes about %s likely, more than --max-gap %s",
			time.Duration(docs.Config.Fleet.Timing.AdvertInterval), expected.Round(10*time.Millisecond), w.MaxGap))
	}
	if fit, _ := docs.Standbys(plan.Node, now); len(fit) == 1 {
		out = append(out, fmt.Sprintf("during the test %s alone carries everything", fit[0]))
	}
	if n := len(plan.Targets); n == maxTargets && len(plan.Addresses) > n {
		out = append(out, fmt.Sprintf("only %d of %d addresses are probed; all move", n, len(plan.Addresses)))
	}
	return out
}

// Expected is how long an address is without an owner by VRRP's arithmetic (RFC 5798, 6.1): three adverts and a skew of
// the first standby, rounded up to the slowest second choice. A drain hands over first.
func Expected(kind nodeconfig.DrillKind, t nodeconfig.Timing) time.Duration {
	advert := time.Duration(t.AdvertInterval)
	if kind == nodeconfig.DrillDrain {
		return 0
	}
	if kind == nodeconfig.DrillNginx { // Found out by a probe each 50 ms, and given up in an orderly way.
		return 50*time.Millisecond + advert/2
	}
	return 3*advert + advert/2
}
