package apiclock

import (
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// agree is the difference up to which two clocks are taken for the same: the API server's times have whole seconds, and
// an answer or a report is some time on its way.
const agree = 2 * time.Second

// Clock knows by how much the API server's clock is ahead of this machine's. It may be used from everywhere at once. A
// nil one takes all clocks for the same.
type Clock struct {
	now   func() time.Time
	mu    sync.Mutex
	ahead time.Duration
}

// New returns a clock that goes by now, this machine's clock, and takes the API server's for the same until it hears of
// another.
func New(now func() time.Time) *Clock { return &Clock{now: now} }

// Listen returns a transport that learns from the answers which it passes on.
func (c *Clock) Listen(next http.RoundTripper) http.RoundTripper {
	if c == nil {
		return next
	}
	return listener{c, next}
}

type listener struct {
	*Clock
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if err == nil {
		l.hear(res.Header)
	}
	return res, err
}

// WrappedRoundTripper is how client-go finds the transport below.
func (l listener) WrappedRoundTripper() http.RoundTripper { return l.next }

// hear learns from an answer that has just come. One out of a cache tells of another time.
func (c *Clock) hear(h http.Header) {
	date, err := http.ParseTime(h.Get("Date")) // RFC 9110, 6.6.1
	if err != nil || h.Get("Age") != "" || h.Get("X-From-Cache") != "" {
		return
	}
	ahead := date.Add(time.Second / 2).Sub(c.now())
	if ahead.Abs() <= agree {
		ahead = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}

func (c *Clock) difference() time.Duration {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

// Mine translates a time of the API server's clock into one of this machine's; zero stays zero.
func (c *Clock) Mine(t time.Time) time.Time { return shift(t, -c.difference()) }

// Theirs translates a time of this machine's clock into one of the API server's; zero stays zero.
func (c *Clock) Theirs(t time.Time) time.Time { return shift(t, c.difference()) }

func shift(t time.Time, d time.Duration) time.Time {
	if t.IsZero() || d == 0 {
		return t
	}
	return t.Add(d)
}

// Documents reads documents. Those of their times that are compared with the present are by this machine's clock then:
// when a node reported, and when a drill was asked for.
func (c *Clock) Documents(cms []corev1.ConfigMap) view.Documents {
	docs := view.DecodeDocuments(cms)
	if c == nil {
		return docs
	}
	stored := map[string]time.Time{}
	for _, cm := range cms {
		stored[cm.Name] = storedAt(cm)
	}
	for i, s := range docs.Statuses {
		docs.Statuses[i].Reported = c.Mine(reportedAt(s.Reported, stored[nodeconfig.StatusName(s.Node)]))
	}
	for node, o := range docs.Config.Orders {
		if o.Drill != nil {
			drill := *o.Drill
			drill.Requested = c.Mine(drill.Requested)
			o.Drill = &drill
			docs.Config.Orders[node] = o
		}
	}
	return docs
}

// reportedAt is when a report was written, by the API server's clock: by the node's word where its clock agrees, which
// is more exact, else when the report was stored.
func reportedAt(word, stored time.Time) time.Time {
	if stored.IsZero() || stored.Sub(word).Abs() <= agree {
		return word
	}
	return stored
}

// storedAt is when the API server stored what the node's daemon last wrote; zero where it does not say so. What others
// do to the object, such as annotating it, says nothing about the node.
func storedAt(cm corev1.ConfigMap) time.Time {
	for _, f := range cm.ManagedFields {
		if f.Manager == nodeconfig.DaemonManager && f.Time != nil {
			return f.Time.Time
		}
	}
	return time.Time{}
}
