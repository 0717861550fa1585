package controller

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/freeport"
)

// freeAddress returns an address of the loopback that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// fetch returns the status and body of a page, or why there is none.
func fetch(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// own returns the lines of a page that are the controller's own metrics.
func own(page string) string {
	var out []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "kubectl_lb") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestEndpoints: a standby is ready too, and the leader counts what it does.
func TestEndpoints(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.9")
	r.stop()
	r.config.LeaderElection.Enabled = true
	r.config.MetricsBindAddress, r.config.HealthProbeBindAddress = freeAddress(t), freeAddress(t)
	leader := r.config
	r.start()
	r.waitStatus(r.coffee("good"), "SUCCESS")
	r.waitStatus(r.configMap("default", "bad", nil), "ERROR : LB0102")
	r.config.MetricsBindAddress, r.config.HealthProbeBindAddress = "0", freeAddress(t)
	r.start()
	for _, address := range []string{leader.HealthProbeBindAddress, r.config.HealthProbeBindAddress} {
		for _, page := range []string{"/healthz", "/readyz"} {
			r.eventually(func() string {
				if got := fetch("http://" + address + page); !strings.HasPrefix(got, "200 ") {
					return page + ": " + got
				}
				return ""
			})
		}
	}
	r.eventually(func() string {
		page := fetch("http://" + leader.MetricsBindAddress + "/metrics")
		for _, want := range []string{
			`kubectl_lb_pass_duration_seconds_count`,
			`kubectl_lb_apply_errors_total 0`,
		} {
			if !strings.Contains(page, want) {
				return "no " + want + " in\n" + own(page)
			}
		}
		return ""
	})
}

// TestMetrics counts load balancers and addresses.
func TestMetrics(t *testing.T) {
	r := newRig(t, "10.88.0.1-10.88.0.4")
	r.stop()
	r.config.MetricsBindAddress = freeAddress(t)
	r.stop = r.start()
	r.waitStatus(r.coffee("good"), "SUCCESS")
	going := r.waitStatus(r.coffee("going"), "SUCCESS")
	r.waitStatus(r.configMap("default", "bad", nil), "ERROR : LB0102")
	r.frozen.Store(true)
	r.must(r.client.Delete(t.Context(), going))
	r.eventually(func() string {
		page := fetch("http://" + r.config.MetricsBindAddress + "/metrics")
		for _, want := range []string{
			`kubectl_lb_load_balancers{status="SUCCESS"} 1`,
			`kubectl_lb_load_balancers{status="ERROR"} 1`,
			`kubectl_lb_load_balancers{status="PENDING"} 0`,
			`kubectl_lb_pool_addresses{family="IPv4",pool="default",state="used"} 1`,
			`kubectl_lb_pool_addresses{family="IPv4",pool="default",state="waiting"} 1`,
			`kubectl_lb_pool_addresses{family="IPv4",pool="default",state="free"} 2`,
			`kubectl_lb_withdrawn_addresses 1`,
		} {
			if !strings.Contains(page, want) {
				return "no " + want + " in\n" + own(page)
			}
		}
		return ""
	})
}
