package nginx

import (
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// connectTime is how long a service may take to accept a connection.
const connectTime = 5 * time.Second

// spareKept is how long after its last request a kept connection outlives a reload. It keeps the workers of before
// alive as long, whose memory many reloads in a row would fill.
const spareKept = 5 * time.Second

// backlog is the queue of connections that wait to be accepted; the kernel caps it by net.core.somaxconn.
const backlog = 4096

// The pages of requests that reach no backend.
const (
	notFound    = "404 Not Found: no host and path that are served here match this request\n"
	unavailable = "503 Service Unavailable: the service behind this address has no endpoints\n"
	// unanswered is said where nginx asked and got no answer. Behind a cluster IP, a refused connection is all that it
	// sees of a service without endpoints, and it does not keep apart who refused, and who broke off
	// ($upstream_connect_time is set only once the request was sent).
	unanswered = "503 Service Unavailable: the service behind this address has no endpoints, or none that answers\n"
)

// mainConfig returns nginx.conf.
func mainConfig(in Input, b builder) []byte {
	var t render.Text
	t.Line("# Written by lb-daemon; changes are lost.")
	for _, m := range in.Modules {
		t.Line("load_module", quote(m)+";")
	}
	process(&t, in)
	// Every listening socket takes a connection of every worker, and nginx does not start with too few.
	connections := in.WorkerConnections + b.sockets
	t.Block("events", func() { t.Line("worker_connections", strconv.Itoa(connections)+";") })
	t.Block("http", func() {
		if b.https {
			tlsDefaults(&t, in, "http")
		}
		httpDefaults(&t, in.RunDir, b)
		if b.trusting {
			trustedHeaders(&t)
		}
		if len(b.ranges) > 0 {
			t.Line("include", rangesName+";")
		}
		if b.sticky {
			affinityCookie(&t, b.trusting)
		}
		t.Line("include generation.conf;")
		t.Line("include http/*.conf;")
	})
	// Only with a TCP or UDP listener, for the module may be missing where nobody needs it.
	if b.stream {
		t.Block("stream", func() {
			streamDefaults(&t)
			switch {
			case b.tls:
				tlsDefaults(&t, in, "stream")
			case b.sni:
				mapSizes(&t)
			}
			if b.sni {
				sniDefaults(&t, in.RunDir)
			}
			t.Line("include stream/*.conf;")
		})
	}
	return t.Bytes()
}

func process(t *render.Text, in Input) {
	t.Line("daemon off;")
	t.Line("user", in.User+";")
	workers := "auto"
	if in.Workers > 0 {
		workers = strconv.Itoa(in.Workers)
	}
	t.Line("worker_processes", workers+";")
	if in.WorkerOpenFiles > 0 {
		t.Line("worker_rlimit_nofile", strconv.Itoa(in.WorkerOpenFiles)+";")
	}
	// Without a limit the workers of old generations pile up behind their longest connections.
	t.Line("worker_shutdown_timeout", strconv.Itoa(int(in.ShutdownTimeout.Seconds()))+"s;")
	t.Line("pid", quote(in.RunDir+"/"+PIDName)+";")
	t.Line("error_log stderr notice;")
}

// httpDefaults adds what holds for every HTTP server.
func httpDefaults(t *render.Text, runDir string, b builder) {
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		t.Line(kind+"_temp_path", quote(runDir+"/nginx-"+kind)+";")
	}
	t.Line("access_log off;")
	t.Line("server_tokens off;")
	t.Line("default_type text/plain;")
	// One long name must not fail the whole configuration: a DNS name has at most 253 bytes.
	t.Line("server_names_hash_bucket_size 512;")
	t.Line("server_names_hash_max_size 4096;")
	t.Line("large_client_header_buffers 4 16k;")
	if SparesKept(b.in.Version) {
		t.Line("keepalive_min_timeout", seconds(spareKept)+";")
	}
	if len(b.ranges) > 0 {
		// Each set of ranges is a variable; nginx warns in every test of more than a few hundred otherwise.
		t.Line("variables_hash_max_size 8192;")
		t.Line("variables_hash_bucket_size 512;")
	}
	proxyDefaults(t)
	requestHeaders(t)
	t.Block("map $status $lb_failure", func() {
		t.Line("403", quote("403 Forbidden: this client address is not allowed here\n")+";")
		t.Line("413", quote("413 Content Too Large: the request's body is larger than is allowed here\n")+";")
		t.Line("429", quote("429 Too Many Requests: too many connections at once\n")+";")
		t.Line("503", quote(unanswered)+";")
		t.Line("504", quote("504 Gateway Timeout: the service behind this address takes too long\n")+";")
	})
	// 502 would say that the service answered badly. To tell the two apart costs each server a location, which are a third
	// of nginx's memory with many of them.
	t.Line("error_page 502 =503 @failed;")
	t.Line("error_page 403 413 429 503 504 @failed;")
}

// proxyDefaults adds how requests are passed on: as they come, unlimited and unbuffered, for size and pace are the
// service's business, and a node's disk must not fill with uploads.
func proxyDefaults(t *render.Text) {
	t.Line("client_max_body_size 0;")
	t.Line("proxy_request_buffering off;")
	t.Line("proxy_buffering off;")
	t.Line("proxy_buffer_size 16k;")
	t.Line("proxy_buffers 4 16k;")
	t.Line("proxy_http_version 1.1;")
	t.Line("proxy_connect_timeout", seconds(connectTime)+";")
	t.Line("proxy_send_timeout 60s;")
	t.Line("proxy_read_timeout 60s;")
	t.Line("proxy_socket_keepalive on;")
	// Another try only where the request has surely not been answered; never for one that may not be repeated.
	// Each try has its times, so their number bounds the whole; without one, nginx tries every server of an upstream.
	t.Line("proxy_next_upstream error timeout;")
	t.Line("proxy_next_upstream_tries 1;")
	t.Line("proxy_redirect off;")
	t.Line("proxy_pass_header Server;")
	t.Line("proxy_pass_header Date;")
	// A service must not send nginx to other locations or change its pace by headers.
	t.Line("proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Charset X-Accel-Buffering;")
}

// streamDefaults adds what holds for every TCP or UDP server.
func streamDefaults(t *render.Text) {
	t.Line("proxy_connect_timeout", seconds(connectTime)+";")
	t.Line("proxy_timeout", seconds(idleTCP)+";")
	t.Line("proxy_next_upstream_tries 1;")
	t.Line("proxy_socket_keepalive on;")
	// A side that is done sending may still be waiting for an answer.
	t.Line("proxy_half_close on;")
}

// probe returns generation.conf.
func probe(in Input, generation string) render.File {
	runDir := in.RunDir
	var t render.Text
	t.Block("server", func() {
		t.Line("listen", quote("unix:"+runDir+"/"+SocketName)+";")
		t.Line("listen", quote("unix:"+runDir+"/"+GenerationSocketName(generation))+";")
		// Every probe is to be a new connection, which only workers of the running generation accept.
		t.Line("keepalive_timeout 0;")
		t.Block("location /", func() { t.Line("return 200", quote(generation)+";") })
		if in.StubStatus {
			t.Block("location = "+WaitingPath, func() { t.Line("return 200 $connections_waiting;") })
		}
	})
	return render.File{Path: "generation.conf", Data: t.Bytes()}
}
