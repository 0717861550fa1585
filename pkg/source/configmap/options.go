package configmap

import (
	"slices"
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The bounds of times: nobody waits shorter on purpose, and nothing longer than a day is a limit.
const (
	minTime = time.Second
	maxTime = 24 * time.Hour
)

func (r *reading) readIdleTimeout(v string) { r.options.Timeouts.Idle = r.duration(KeyIdleTimeout, v) }

func (r *reading) readResponses(v string) { r.options.Responses = r.count(KeyResponses, v, 1000) }

// duration reads a time such as "30s", in whole milliseconds; it returns 0 when that is none.
func (r *reading) duration(key, v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil || d < minTime || d > maxTime || d%time.Millisecond != 0 {
		r.badf(key, `%s is not a time from 1s to 24h; give one such as "30s" or "5m"`, quote(v))
		return 0
	}
	return d
}

// count reads a number from 1 to most; it returns 0 when that is none.
func (r *reading) count(key, v string, most int) int {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		r.badf(key, "%s is not a number from 1 to %d", quote(v), most)
		return 0
	}
	return n
}

// optionsOf returns those of the object's options that mean something for a protocol.
func (r *reading) optionsOf(p lb.Protocol) lb.Options {
	o := r.options
	if p == lb.HTTP {
		o.Timeouts.Idle = 0
	}
	if p != lb.UDP {
		o.Responses = 0
	}
	return o
}

// optionless finds options that no port of the object can have.
func (r *reading) optionless(listeners []lb.Listener) {
	for _, o := range []struct {
		key   string
		given bool
		need  []lb.Protocol
	}{
		{KeyIdleTimeout, r.options.Timeouts.Idle > 0, []lb.Protocol{lb.TCP, lb.UDP}},
		{KeyResponses, r.options.Responses > 0, []lb.Protocol{lb.UDP}},
	} {
		if !o.given || slices.ContainsFunc(listeners, func(l lb.Listener) bool {
			return slices.Contains(o.need, l.Protocol)
		}) {
			continue
		}
		r.addf(lb.CodeConflictingKeys, o.key, "the key needs a port of protocol %s; remove it, or set %s or %s",
			either(o.need), KeyProtocol, KeyPorts)
	}
}
