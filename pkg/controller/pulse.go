package controller

import (
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// pulses remember when the nodes' reports came, by this process's own clock: a report has the time of its node, whose
// clock may be wrong. They may be used from everywhere at once.
type pulses struct {
	mu   sync.Mutex
	came map[string]pulse
}

// pulse is the version of an object that came last, and when.
type pulse struct {
	version string
	at      time.Time
}

// beat notes that a version of an object has come.
func (p *pulses) beat(name, version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.came == nil {
		p.came = map[string]pulse{}
	}
	p.came[name] = pulse{version: version, at: time.Now()}
}

// at returns when a version of an object came; zero where that was not seen.
func (p *pulses) at(name, version string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.came[name]; last.version == version {
		return last.at
	}
	return time.Time{}
}

// silent reports whether nothing has come since a version of an object for so long that the next is news, or for a time
// that is not known.
func (p *pulses) silent(name, version string) bool {
	at := p.at(name, version)
	return at.IsZero() || time.Since(at) > nodeconfig.StaleAfter
}
