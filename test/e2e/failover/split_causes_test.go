package failover

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// healed is how long it may take until nothing speaks of a conflict that is over: the wire is looked at every 10 s.
const healed = time.Minute

// disputes returns the leader's metric kubectl_lb_disputed_addresses, by "kind/cause".
func disputes(ctx context.Context) (map[string]float64, error) {
	leader, err := shared.Leader(ctx)
	if err != nil {
		return nil, err
	}
	pod, err := shared.Client.CoreV1().Pods(rig.SystemNamespace).Get(ctx, leader, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	res, err := shared.Request(ctx, "w1", net.JoinHostPort(pod.Status.PodIP, "8080"), pod.Status.PodIP, "/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(res.Body) {
		labels, ok := strings.CutPrefix(line, "kubectl_lb_disputed_addresses{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(strings.TrimSpace(labels), "} ")
		cause, kind, _ := strings.Cut(labels, ",")
		if out[label(kind)+"/"+label(cause)], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no such metric among %d bytes, status %d", len(res.Body), res.Code)
	}
	return out, nil
}

// label returns the value of key="value".
func label(pair string) string {
	_, value, _ := strings.Cut(pair, "=")
	return strings.Trim(value, `"`)
}

// counted waits until the metric counts a dispute of a kind and cause.
func counted(t *testing.T, kind, cause string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), noticed, fmt.Sprintf("the metric of %s by %s", kind, cause), func() (bool, string) {
		all, err := disputes(t.Context())
		return err == nil && all[kind+"/"+cause] > 0, fmt.Sprintf("%v, %v", all, err)
	}))
}

// undisputed waits until the object says SUCCESS, one node holds its address, and the metric counts nothing any more.
func undisputed(t *testing.T, name string) {
	t.Helper()
	ip, err := shared.WaitServing(t.Context(), "default", name)
	must(t, err)
	holder(t, ip)
	must(t, rig.Wait(t.Context(), healed, "the metric to count nothing", func() (bool, string) {
		all, err := disputes(t.Context())
		if err != nil {
			return false, err.Error()
		}
		for _, n := range all {
			if n != 0 {
				return false, fmt.Sprint(all)
			}
		}
		return true, ""
	}))
}

// warned waits until there is a Warning about an object of that name whose text has every word.
func warned(t *testing.T, object string, words ...string) {
	t.Helper()
	must(t, rig.Wait(t.Context(), noticed, fmt.Sprintf("an Event on %s about %q", object, words), func() (bool, string) {
		events, err := shared.Client.EventsV1().Events("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		var about []string
		for _, e := range events.Items {
			text := e.Reason + ": " + e.Note
			if e.Regarding.Name != object || e.Type != "Warning" {
				continue
			}
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				return true, ""
			}
			about = append(about, text)
		}
		return false, fmt.Sprintf("there are %q", about)
	}))
}

// TestSkewedConfiguration: a node that can't reach the API server goes on with the virtual router identifiers of before,
// while the others get new ones. Both sides then have an owner for its addresses. The object, an Event and the metric
// name the cause; once the node hears of the change, there is one owner again and nothing is left of it.
func TestSkewedConfiguration(t *testing.T) {
	ctx := t.Context()
	ip := serve(t, "skewed", "target-service-name: coffee-svc")
	late := holder(t, ip)
	before, err := shared.Fleet(ctx)
	must(t, err)
	t.Cleanup(func() {
		must(t, shared.Lab.HealAll(context.WithoutCancel(ctx)))
		must(t, shared.Configure(context.WithoutCancel(ctx), ""))
		mended(t)
	})
	must(t, shared.Lab.Cut(late, fabric.API))
	must(t, shared.Configure(ctx, fmt.Sprintf("{vridBase: %d}", before.Groups[0].VRID+1)))

	must(t, rig.Wait(ctx, noticed, "two owners", func() (bool, string) {
		nodes, err := shared.Holders(ip)
		return err == nil && len(nodes) > 1 && slices.Contains(nodes, late), fmt.Sprintf("held by %v, %v", nodes, err)
	}))
	statusHas(t, "skewed", "LB0404", ip, late, "skewed configuration")
	warned(t, "skewed", "LB0404", ip, late, "skewed configuration")
	counted(t, backend.DisputeTwoOwners, backend.CauseSkew)
	told(t, "SkewedConfiguration")

	must(t, shared.Lab.Heal(late))
	undisputed(t, "skewed")
}

// TestNoOwner: where no node has an address although all are well, as far as they know, the object, an Event and the
// metric say so. Somebody has shut the gates that keepalived watches, behind the daemons' backs.
func TestNoOwner(t *testing.T) {
	serve(t, "nobodys", "target-service-name: coffee-svc")
	gates, err := filepath.Glob(filepath.Join(shared.Lab.Info().Dir, "nodes", "lb*", "pods", "*_lb-daemon-*", "volumes",
		"run", "gate"))
	must(t, err)
	if len(gates) != len(shared.LBNodes()) {
		t.Fatalf("gates: %v", gates)
	}
	set := func(word string) {
		for _, g := range gates {
			must(t, os.WriteFile(g, fmt.Appendf(nil, "%-4s\n", word), 0o600))
		}
	}
	t.Cleanup(func() { set("0"); mended(t) })
	set("1")
	statusHas(t, "nobodys", "LB0405", "although they could")
	warned(t, "nobodys", "LB0405", "although they could")
	counted(t, backend.DisputeNoOwner, backend.CauseUnknown)
	set("0")
	undisputed(t, "nobodys")
}

// TestOtherVRIDs: the identifiers of all groups change by one, so that each is a neighbour's of before, and back again.
// Every group is at home afterwards, and nothing is left of the change.
func TestOtherVRIDs(t *testing.T) {
	ctx := t.Context()
	ip := serve(t, "renumbered", "target-service-name: coffee-svc")
	before, err := shared.Fleet(ctx)
	must(t, err)
	changed := false
	t.Cleanup(func() {
		if changed {
			must(t, shared.Configure(context.WithoutCancel(ctx), ""))
			mended(t)
		}
	})
	running := probe(t, ip)
	for _, software := range []string{fmt.Sprintf("{vridBase: %d}", before.Groups[0].VRID+1), ""} {
		must(t, shared.Configure(ctx, software))
		changed = !changed
		mended(t)
		undisputed(t, "renumbered")
	}
	report := running.Stop()
	t.Log(report)
	if !report.Ended() || report.Outage() > failoverBound {
		t.Error(report)
	}
}
