package octavia_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// sharer is an object that shares; one with a host has it at port 80 by HTTP.
func sharer(name, host string, port uint16, age time.Duration) lb.LoadBalancer {
	l := web(name, 1, port)
	l.Origin.Created = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age)
	l.Share = "default/edge"
	if host != "" {
		l.Listeners[0].Protocol, l.Listeners[0].Routes[0].Host = lb.HTTP, host
	}
	return l
}

// whose returns whose each listener and pool of the site is by its tags: "listener http-80 default/a,default/b".
func (s *site) whose() string {
	s.t.Helper()
	const tags = "' ',group_concat(replace(t.tag,'kubectl-lb-configmap=','') order by t.tag)) x from "
	const of = " join load_balancer l on r.load_balancer_id=l.id join tags t on t.resource_id=r.id " +
		"where t.tag like 'kubectl-lb-configmap=%' and "
	rows := s.query("select concat('listener ',r.name," + tags + "listener r" + of + s.mine() + " group by r.id union all " +
		"select concat('pool ',left(r.name,12)," + tags + "pool r" + of + s.mine() + " group by r.id order by x")
	return strings.Join(rows, "\n")
}

// TestShare has three objects share a real load balancer, two of them a port: what the oldest had alone becomes
// everybody's, a new process changes nothing, who leaves takes what is his and no more, and the last one all.
func TestShare(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a, b := sharer("a", "a.example", 80, 3*time.Hour), sharer("b", "b.example", 80, 2*time.Hour)
	c := sharer("c", "", 81, time.Hour)
	alone := a
	alone.Share = ""
	s.apply(alone)
	s.ready(alone)
	s.settled()
	first := s.query("select concat(l.id,' ',v.ip_address) from load_balancer l join vip v on v.load_balancer_id=l.id where " + s.mine())
	stays := func(what, whose string, want ...lb.LoadBalancer) {
		t.Helper()
		s.apply(want...)
		s.until(what, func() bool { return s.Settled() && s.whose() == whose })
		s.ready(want...)
		now := s.query("select concat(l.id,' ',v.ip_address) from load_balancer l join vip v on v.load_balancer_id=l.id where " + s.mine())
		if d := cmp.Diff(first, now); d != "" {
			t.Errorf("%s: another load balancer: %s", what, d)
		}
	}
	s.apply(a, b, c)
	s.until("shared", func() bool { return s.Settled() && strings.Count(s.whose(), "\n") == 4 })
	all := s.whose()
	if !strings.HasPrefix(all, "listener http-80 default/a,default/b\nlistener tcp-81 default/c\npool ") {
		t.Errorf("%s", all)
	}
	stays("shared", all, a, b, c)

	s.restart()
	s.gate.Reset()
	stays("a new process", all, a, b, c)
	for _, call := range s.gate.Calls() {
		if call.Write() && call.Service == "load-balancer" {
			t.Errorf("a new process changes something: %+v", call)
		}
	}

	s.apply(b, c)
	s.Release([]lb.Origin{a.Origin})
	s.until("the oldest has gone", func() bool { return s.Released(a.Origin.Key) })
	rest := s.whose()
	if strings.Contains(rest, "default/a") || strings.Count(rest, "\n") != 3 {
		t.Errorf("the oldest has gone:\n%s", rest)
	}
	stays("the oldest has gone", rest, b, c)

	s.restart()
	s.apply()
	s.Release([]lb.Origin{b.Origin, c.Origin})
	s.until("all gone", func() bool {
		s.apply()
		return s.Released(b.Origin.Key) && s.Released(c.Origin.Key) && s.count("") == 0
	})
}
