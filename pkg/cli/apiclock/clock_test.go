package apiclock_test

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/apiclock"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

var here = time.Date(2026, 5, 4, 12, 0, 0, 400e6, time.UTC)

// server answers with the headers given.
type server http.Header

func (s server) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{Header: http.Header(s)}, nil
}

// hearing returns a clock of this machine that has heard an answer of those headers.
func hearing(t *testing.T, headers ...string) *apiclock.Clock {
	t.Helper()
	c := apiclock.New(func() time.Time { return here })
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	if _, err := c.Listen(server(h)).RoundTrip(&http.Request{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func date(t time.Time) string { return t.Format(http.TimeFormat) }

func TestClock(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		ahead   time.Duration
	}{
		"agrees":           {[]string{"Date", date(here)}, 0},
		"a slow answer":    {[]string{"Date", date(here.Add(-time.Second))}, 0},
		"ahead":            {[]string{"Date", date(here.Add(time.Hour))}, time.Hour + 100*time.Millisecond},
		"behind":           {[]string{"Date", date(here.Add(-time.Hour))}, -time.Hour + 100*time.Millisecond},
		"no date":          {nil, 0},
		"no such date":     {[]string{"Date", "yesterday"}, 0},
		"out of a cache":   {[]string{"Date", date(here.Add(-time.Hour)), "X-From-Cache", "1"}, 0},
		"out of another's": {[]string{"Date", date(here.Add(-time.Hour)), "Age", "3600"}, 0},
	} {
		clock := hearing(t, c.headers...)
		if got := clock.Theirs(here).Sub(here); got != c.ahead {
			t.Errorf("%s: the API server is ahead by %s, want %s", name, got, c.ahead)
		}
		if got := clock.Mine(clock.Theirs(here)); !got.Equal(here) {
			t.Errorf("%s: there and back is %s", name, got)
		}
		if !clock.Theirs(time.Time{}).IsZero() {
			t.Errorf("%s: no time has become one", name)
		}
	}
}

// report is the ConfigMap of a node's report.
func report(t *testing.T, word time.Time, fields ...metav1.ManagedFieldsEntry) corev1.ConfigMap {
	t.Helper()
	text, err := nodeconfig.Encode(nodeconfig.Status{Version: nodeconfig.Version, Node: "lb1", Reported: word})
	if err != nil {
		t.Fatal(err)
	}
	return corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeconfig.StatusName("lb1"), ManagedFields: fields,
			Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppNode},
		},
		Data: map[string]string{nodeconfig.KeyStatus: text},
	}
}

func stored(manager string, at time.Time) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: at.Truncate(time.Second)}}
}

// TestDocuments: whichever of the three clocks is wrong, a report is as old as it is.
func TestDocuments(t *testing.T) {
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} { // the API server's clock
		for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} { // the node's, beside it
			for _, age := range []time.Duration{0, 5 * time.Second, 25 * time.Second, time.Minute} {
				there := here.Add(wrong)
				written := there.Add(-age)
				clock := hearing(t, "Date", date(there))
				docs := clock.Documents([]corev1.ConfigMap{report(t, written.Add(skew),
					stored("kubectl-annotate", there), stored(nodeconfig.DaemonManager, written))})
				got := here.Sub(docs.Statuses[0].Reported)
				if d := got - age; d < -time.Second || d > time.Second {
					t.Errorf("API server %s, node %s off: a report of %s ago is %s old", wrong, skew, age, got)
				}
				if stale := docs.Statuses[0].Stale(here); stale != (age > nodeconfig.StaleAfter) {
					t.Errorf("API server %s, node %s off: of %s ago, stale is %t", wrong, skew, age, stale)
				}
			}
		}
	}
}

// TestDocumentsOfOne: where the API server does not say when it stored a report, the report's own word counts.
func TestDocumentsOfOne(t *testing.T) {
	word := here.Add(-3 * time.Second)
	for _, c := range []*apiclock.Clock{nil, hearing(t)} {
		docs := c.Documents([]corev1.ConfigMap{report(t, word, stored("somebody", here))})
		if !docs.Statuses[0].Reported.Equal(word) {
			t.Errorf("reported %s, not %s", docs.Statuses[0].Reported, word)
		}
	}
}

// TestOrders: when a drill was asked for is written by the API server's clock, and read by this machine's.
func TestOrders(t *testing.T) {
	clock := hearing(t, "Date", date(here.Add(-time.Hour)))
	text, err := nodeconfig.Encode(nodeconfig.Order{Version: nodeconfig.Version, Drill: &nodeconfig.Drill{
		ID: "x", Kind: nodeconfig.DrillCrash, Requested: clock.Theirs(here),
	}})
	if err != nil {
		t.Fatal(err)
	}
	docs := clock.Documents([]corev1.ConfigMap{{
		ObjectMeta: metav1.ObjectMeta{
			Name: nodeconfig.OrdersName, Labels: map[string]string{nodeconfig.LabelApp: nodeconfig.AppOrders},
		},
		Data: map[string]string{nodeconfig.OrderKey("lb1"): text, nodeconfig.OrderKey("lb2"): ""},
	}})
	if got := docs.Config.Orders["lb1"].Drill.Requested; !got.Equal(here) {
		t.Errorf("asked for at %s, not %s", got, here)
	}
	if !docs.Drilled("lb1", here) || docs.Drilled("lb1", here.Add(time.Hour)) {
		t.Error("an order is in force for as long as it is, by this machine's clock")
	}
}
