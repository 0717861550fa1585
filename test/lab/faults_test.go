package lab

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

// testNetworkFaults probes a Pod on w1 from the client while the way there breaks and heals twice.
func testNetworkFaults(t *testing.T, l *Lab) {
	t.Helper()
	ip, err := kubectl(t, l, "", "get", "pods", "-l", "app=tea", "-o", "jsonpath={.items[0].status.podIP}")
	if err != nil {
		t.Fatal(err)
	}
	target := netip.AddrPortFrom(netip.MustParseAddr(ip), 80)
	for kind, broken := range map[string]func() error{
		"link-down": func() error { return l.LinkDown("w1") },
		"partition": func() error { return l.Partition("w1") },
		"cut":       func() error { return l.Cut("client", "w1", "lb1") },
	} {
		p, err := l.Prober("", probe.Options{Target: target})
		if err != nil {
			t.Fatal(err)
		}
		p.Start(t.Context())
		await := func(what string, ok func(good, bad int) bool) {
			within(t, 20*time.Second, kind+": "+what, func() error {
				good, bad := 0, 0
				for _, s := range p.Samples() {
					if s.Err == "" {
						good++
					} else {
						bad++
					}
				}
				if !ok(good, bad) {
					return fmt.Errorf("%d good, %d bad", good, bad)
				}
				return nil
			})
		}
		await("works at first", func(good, _ int) bool { return good > 20 })
		if err := broken(); err != nil {
			t.Fatal(err)
		}
		await("breaks", func(_, bad int) bool { return bad > 20 })
		status, err := l.Status(t.Context())
		if err != nil || (kind == "link-down") != !status.Nodes[2].Up || (kind == "link-down") != (len(status.Cuts) == 0) {
			t.Errorf("%s: status %+v, %v", kind, status, err)
		}
		healed := len(p.Samples())
		if err := l.HealAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		await("heals", func(_, _ int) bool {
			samples := p.Samples()
			last := samples[max(healed, len(samples)-5):]
			for _, s := range last {
				if s.Err != "" {
					return false
				}
			}
			return len(last) == 5
		})
		if r := p.Stop(); len(r.Windows) == 0 || r.Downtime() < 50*time.Millisecond {
			t.Errorf("%s: report %+v", kind, r)
		}
	}
}

// testProcessFaults uses a stand-in for lb-daemon: as a Pod it is its own init, which kill-daemon must spare.
func testProcessFaults(t *testing.T, l *Lab) {
	t.Helper()
	if out, err := kubectl(t, l, daemonManifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	within(t, 15*time.Second, "the daemon runs", func() error {
		found, err := l.Processes("lb1", Daemon)
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("processes %v", found)
		}
		return err
	})
	if err := l.KillDaemon("lb1"); err == nil {
		t.Error("kill-daemon killed an init")
	}
	beside, err := l.Command("lb1", filepath.Join(testBin, Daemon))
	if err != nil {
		t.Fatal(err)
	}
	beside.Env = append(beside.Env, "POD_IPS=127.0.0.1", "PORT=8089", "TCP_PORT=8090", "UDP_PORT=8090")
	if err := beside.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- beside.Wait() }()
	frozen := func(want int) {
		t.Helper()
		within(t, 10*time.Second, fmt.Sprintf("%d are frozen", want), func() error {
			s, err := l.NodeStatus("lb1")
			if err == nil && s.Frozen != want {
				err = fmt.Errorf("%d are", s.Frozen)
			}
			return err
		})
	}
	within(t, 10*time.Second, "two daemons run", func() error {
		found, err := l.Processes("lb1", Daemon)
		if err == nil && len(found) != 2 {
			err = fmt.Errorf("processes %v", found)
		}
		return err
	})
	if err := l.Freeze("lb1"); err != nil {
		t.Fatal(err)
	}
	frozen(2)
	if err := l.Heal("lb1"); err != nil {
		t.Fatal(err)
	}
	frozen(0)
	if err := l.KillDaemon("lb1"); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err == nil {
		t.Error("the killed daemon ended well")
	}
	if found, err := l.Processes("lb1", Daemon); err != nil || len(found) != 1 || found[0].InnerPID != 1 {
		t.Errorf("left: %v, %v, want the init alone", found, err)
	}
	if err := l.Kill("lb1", Keepalived); err == nil {
		t.Error("a fault that hit nobody looks like one that did")
	}
}

// testPowerCut cuts a node's power: nothing runs and nothing answers, and what its kernel knew is forgotten; its Pods and
// its kube-proxy come back with the power.
func testPowerCut(t *testing.T, l *Lab) {
	t.Helper()
	vip := netip.MustParseAddr("10.88.100.9")
	for _, link := range []string{"eth0", "lo"} {
		if _, err := l.Output(t.Context(), "lb1", "ip", "address", "add", vip.String()+"/32", "dev", link); err != nil {
			t.Fatal(err)
		}
	}
	if nodes, err := l.Holders(vip); err != nil || len(nodes) != 1 || nodes[0] != "lb1" {
		t.Fatalf("holders %v, %v", nodes, err)
	}
	if err := l.PowerOff(t.Context(), "lb1"); err != nil {
		t.Fatal(err)
	}
	if err := l.PowerOff(t.Context(), "lb1"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	within(t, 5*time.Second, "the node is dead", func() error {
		s, err := l.NodeStatus("lb1")
		if err == nil && (s.Up || len(s.Processes) > 0 || len(s.Holds) > 0) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	if err := l.PowerOn(t.Context(), "lb1"); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the node is back", func() error {
		s, err := l.NodeStatus("lb1")
		if err == nil && (!s.Up || s.Processes[Daemon] != 1 || s.Processes["kube-proxy"] != 1) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	if out, err := l.Output(t.Context(), "lb1", "ip", "address", "show"); err != nil || strings.Contains(string(out), vip.String()) {
		t.Errorf("addresses after a boot: %v: %s", err, out)
	}
	if err := l.PowerOn(t.Context(), "lb9"); err == nil || !strings.Contains(err.Error(), "lb9") {
		t.Errorf("power for an unknown node: %v", err)
	}
}

func testAPIOutage(t *testing.T, l *Lab) {
	t.Helper()
	if err := l.APIDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the API server is away", func() error {
		if s, err := l.Status(t.Context()); err != nil || s.API {
			return fmt.Errorf("api %v, %w", s.API, err)
		}
		return nil
	})
	if err := l.APIUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := kubectl(t, l, "", "get", "nodes"); err != nil {
		t.Error(err, out)
	}
	// The kubelets' watches come back by themselves.
	if out, err := kubectl(t, l, "", "delete", "pod", "clerk", "daemon", "--timeout=45s"); err != nil {
		t.Error(err, out)
	}
}
