package nginx

import (
	"cmp"
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// The times after which a stream that carries nothing is ended, unless the user says otherwise. A client of UDP never
// says that it is done, so the answer to one that is silent is worth nothing before long.
const (
	idleTCP = time.Hour
	idleUDP = 30 * time.Second
)

// streamListener adds the upstream and server of a TCP or UDP listener.
func streamListener(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener) {
	name := upstreamName(l.Origin.Key, s, 0)
	upstream(t, s, name, upstreamServers(s, s.Routes[0].Targets()))
	streamServer(t, in, l, s, func() { t.Line("proxy_pass", name+";") })
}

// streamServer adds a server of stream{} and what it needs, but for where its connections go.
func streamServer(t *render.Text, in Input, l lb.LoadBalancer, s lb.Listener, proxy func()) {
	listener, o := listenerName(l.Origin.Key, s), s.Options
	limitZones(t, listener, o.Limits)
	if o.AccessLog {
		logFormat(t, l.Origin.Key, s)
	}
	certificateMap(t, l.Origin.Key, s)
	t.Block("server", func() {
		listenOn(t, l, s)
		if s.TLS != nil {
			certificates(t, l.Origin.Key, s, in.TLSDir)
			t.Line("ssl_handshake_timeout 15s;")
		}
		admission(t, listener, o)
		for _, p := range o.Sources {
			t.Line("allow", p.String()+";")
		}
		if len(o.Sources) > 0 {
			t.Line("deny all;")
		}
		if o.Timeouts.Connect > 0 {
			t.Line("proxy_connect_timeout", seconds(o.Timeouts.Connect)+";")
		}
		if o.Retries > 0 {
			t.Line("proxy_next_upstream_tries", strconv.Itoa(o.Retries+1)+";")
		}
		if o.AccessLog {
			t.Line("access_log", logFile, logName(l.Origin.Key, s)+";")
		}
		if o.SendProxy {
			t.Line("proxy_protocol on;")
		}
		streamTimeouts(t, s)
		proxy()
	})
}

// streamSocket returns the options of the listening socket.
func streamSocket(s lb.Listener) string {
	if s.Protocol == lb.UDP {
		// A socket for each worker, so that all datagrams of a client reach the one that has its session.
		return "udp reuseport"
	}
	// A client that vanished is noticed after 5 min and 4 probes, not when the session's hour is over.
	options := ""
	if s.TLS != nil {
		options = "ssl "
	}
	options += "backlog=" + strconv.Itoa(backlog) + " so_keepalive=5m:15s:4"
	if s.Options.AcceptProxy {
		options += " proxy_protocol"
	}
	return options
}

// streamTimeouts adds what ends a connection or session.
func streamTimeouts(t *render.Text, s lb.Listener) {
	if s.Protocol == lb.UDP {
		t.Line("proxy_timeout", seconds(cmp.Or(s.Options.Timeouts.Idle, idleUDP))+";")
		if n := s.Options.Responses; n > 0 {
			t.Line("proxy_responses", strconv.Itoa(n)+";")
		}
		return
	}
	if d := s.Options.Timeouts.Idle; d > 0 {
		t.Line("proxy_timeout", seconds(d)+";")
	}
}

// seconds writes a time down as nginx reads it, in seconds where it is whole ones.
func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
