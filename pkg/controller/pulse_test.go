package controller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// TestPulses goes by the own clock, whatever the reports say about their time.
func TestPulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pulses{}
		matters := func(older, newer string, restarts int) bool {
			t.Helper()
			a := labelled("sys", nodeconfig.AppNode, reportOf(t, time.Hour, 0)) // an hour behind
			b := labelled("sys", nodeconfig.AppNode, reportOf(t, time.Hour-10*time.Second, restarts))
			a.ResourceVersion, b.ResourceVersion = older, newer
			return configMapMatters(a, b, "sys", p)
		}
		if !matters("1", "2", 0) {
			t.Error("since when the first was there nobody knows")
		}
		begun := time.Now()
		time.Sleep(nodeconfig.HeartbeatInterval)
		if matters("2", "3", 0) {
			t.Error("a heartbeat is news")
		}
		if !p.at("x", "2").IsZero() || !p.at("x", "3").Equal(begun.Add(nodeconfig.HeartbeatInterval)) {
			t.Errorf("it came at %s", p.at("x", "3"))
		}
		if !matters("3", "4", 1) {
			t.Error("news are none")
		}
		time.Sleep(nodeconfig.StaleAfter + time.Second)
		if !matters("4", "4", 0) || !p.silent("x", "4") {
			t.Error("what the informer repeats makes a silent node look alive")
		}
		if !matters("4", "5", 0) || p.silent("x", "5") {
			t.Error("a node that is back is no news")
		}
	})
}
