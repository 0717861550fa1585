package octavia_test

import (
	"context"
	"database/sql"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend/octavia"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// finding waits until the load balancer has a finding of that code, and returns what it says.
func (s *site) finding(l lb.LoadBalancer, code lb.Code) (text string) {
	s.t.Helper()
	s.until(string(code), func() bool {
		findings := s.healths()[l.Origin.Key].Findings
		i := slices.IndexFunc(findings, func(f lb.Finding) bool { return f.Code == code })
		if i >= 0 {
			text = findings[i].Message
		}
		return i >= 0
	})
	s.t.Log(text)
	return text
}

// set does to the site's load balancers what only Octavia itself, or its operator, can do.
func (s *site) set(column, status string) {
	s.t.Helper()
	_, err := cloud.SQL(context.Background(), "update load_balancer l set "+column+"='"+status+"' where "+s.mine())
	if err != nil {
		s.t.Fatal(err)
	}
}

// setOne sets the provisioning status of one.
func (s *site) setOne(object, status string) {
	s.t.Helper()
	_, err := cloud.SQL(context.Background(), "update load_balancer l set provisioning_status='"+status+"' where l.name='default-"+
		object+"-loadbalancer' and "+s.mine())
	if err != nil {
		s.t.Fatal(err)
	}
}

// worker runs a worker of that kind until the test ends.
func worker(t *testing.T, kind lab.Worker) {
	t.Helper()
	if err := cloud.StartWorker(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		//nolint:usetesting // in a cleanup the test's context is done
		if err := cloud.StartWorker(context.Background(), lab.WorkerCorrected); err != nil {
			t.Error(err)
		}
	})
}

// TestStockWorker creates with a worker that forgets the children, as real providers do, and finds them all made, also
// when the backend is killed amid that.
func TestStockWorker(t *testing.T) {
	worker(t, lab.WorkerStock)
	t.Run("two ports", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.apply(web("web", 2, 80, 443))
		s.ready(web("web", 2, 80, 443))
		s.is(webTree(2, 80, 443))
		if s.posts() != 1 {
			t.Errorf("%d load balancers were created", s.posts())
		}
	})
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		whole := ways()
		crash(t, []way{whole[0], whole[3]}, 6)
	})
}

// TestWorkerKilled tears the worker away in the middle of a create, which leaves the load balancer in PENDING_CREATE for
// ever. That is reported, nobody else waits for it, and it is made again once an operator has set it right.
func TestWorkerKilled(t *testing.T) {
	s := newSite(t, func(o *octavia.Options) { o.StuckAfter = 5 * time.Second })
	// A worker that creates waits where it wants to write down the amphora: this level of isolation locks gaps.
	hold, err := cloud.Database().BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Rollback() }() // most often it is over already
	if _, err := hold.ExecContext(t.Context(), "select id from amphora for update"); err != nil {
		t.Fatal(err)
	}
	stuck, other := web("web", 1, 80), web("other", 1, 80)
	s.apply(stuck)
	s.until("amid the create", func() bool {
		return len(s.query("select trx_id from information_schema.innodb_trx where trx_state='LOCK WAIT'")) > 0
	})
	if err := cloud.StopWorker(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := hold.Rollback(); err != nil {
		t.Fatal(err)
	}
	worker(t, lab.WorkerCorrected)
	if text := s.finding(stuck, lb.CodeCloudStuck); !strings.Contains(text, "PENDING_CREATE") {
		t.Error(text)
	}
	s.apply(stuck, other)
	s.ready(other)
	if n := s.count(" and l.provisioning_status='PENDING_CREATE'"); n != 1 || s.posts() != 2 {
		t.Errorf("%d load balancers are stuck, %d creates", n, s.posts())
	}
	s.setOne("web", "ERROR")
	s.apply(stuck, other)
	s.ready(stuck, other)
	if s.count("") != 2 || s.posts() != 3 {
		t.Errorf("%d load balancers, %d creates", s.count(""), s.posts())
	}
}

// TestStuck has a provider that never gets anything done. The object can be deleted all the same: the load balancer goes
// as soon as it can.
func TestStuck(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *octavia.Options) {
		o.StuckAfter = 2 * time.Second
		o.Settings = func(k lb.Key) octavia.Settings {
			settings := o.Defaults
			if k.Name == "stuck" {
				settings.Placement.Provider = "noop_driver"
			}
			return settings
		}
	})
	stuck, other := web("stuck", 1, 80), web("web", 1, 80)
	s.apply(stuck, other)
	s.ready(other)
	s.finding(stuck, lb.CodeCloudStuck)
	s.apply(other)
	s.Release([]lb.Origin{stuck.Origin})
	s.settledBut(stuck)
	if s.Released(stuck.Origin.Key) || s.count("") != 2 {
		t.Error("it cannot be gone")
	}
	// An operator sets it right, it is deleted, which the provider does not get done either, and the operator again.
	s.setOne("stuck", "ACTIVE")
	s.until("deleted", func() bool { return s.count(" and l.provisioning_status='PENDING_DELETE'") == 1 })
	s.setOne("stuck", "DELETED")
	s.until("gone", func() bool { return s.Released(stuck.Origin.Key) })
	s.is(webTree(1, 80))
}

// settledBut makes sure that the backend has had time for the load balancer.
func (s *site) settledBut(l lb.LoadBalancer) {
	s.t.Helper()
	s.gate.Reset()
	s.until("a look at it", func() bool {
		return slices.ContainsFunc(s.gate.Calls(), func(c lab.Call) bool { return c.Status == http.StatusOK }) || s.Released(l.Origin.Key)
	})
}

// TestErrors forces each status on a load balancer that has served, and finds it reported, not deleted, and mended
// when the operator is done.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.settled()
	s.set("operating_status", "DEGRADED")
	s.apply(want)
	s.finding(want, lb.CodeCloudDegraded)
	if !s.healths()[want.Origin.Key].Ready {
		t.Error("a degraded load balancer is not ready")
	}
	s.set("operating_status", "ONLINE")
	s.apply(want)
	s.until("no finding", func() bool { return len(s.healths()[want.Origin.Key].Findings) == 0 })
	s.gate.Reset()
	s.set("provisioning_status", "ERROR")
	s.apply(want)
	s.finding(want, lb.CodeCloudError)
	s.set("provisioning_status", "ACTIVE")
	s.apply(want)
	s.ready(want)
	if slices.ContainsFunc(s.gate.Calls(), lab.Call.Write) {
		t.Errorf("it was changed: %v", s.gate.Calls())
	}
}

// TestErrorWhileCreated finds a load balancer that was never ready in ERROR: it is made again.
func TestErrorWhileCreated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var once sync.Once
	// The first look after the create finds the ERROR.
	s.gate.Break(lab.Fault{Method: http.MethodGet, Path: "/loadbalancers/", Call: func() {
		once.Do(func() {
			s.until("active", func() bool { return s.count(" and l.provisioning_status='ACTIVE'") == 1 })
			s.set("provisioning_status", "ERROR")
		})
	}})
	want := web("web", 1, 80)
	s.apply(want)
	s.ready(want)
	s.is(webTree(1, 80))
	if s.posts() != 2 {
		t.Errorf("%d creates, want 2", s.posts())
	}
}
