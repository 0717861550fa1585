package nginx

import (
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// SocketName is the name, in the run directory, of the unix socket of the generation probe.
const SocketName = "nginx-generation.sock"

// GenerationSocketName is the name, in the run directory, of the unix socket that only workers of one generation have.
// For 100 ms after a reload the workers of the former generation go on accepting on the sockets that both have, and
// mostly they are the faster ones: [SocketName] proves a new generation no sooner than that, this one at once.
func GenerationSocketName(generation string) string { return "nginx-" + generation + ".sock" }

// WaitingPath is the path, on the socket [SocketName], where nginx says how many connections of clients are idle and
// kept for another request. It counts those of all workers. Workers that were killed take what they had with them, and
// it stays in the count until nginx is started anew.
const WaitingPath = "/waiting"

// PIDName is the name, in the run directory, of the file with the process ID of nginx's master.
const PIDName = "nginx.pid"

// DefaultShutdownTimeout is how long workers of an old generation may finish their connections.
const DefaultShutdownTimeout = 240 * time.Second

// DefaultWorkerConnections is the number of connections that a worker may have, both sides counted.
const DefaultWorkerConnections = 16384

// Input is everything that nginx's configuration depends on.
type Input struct {
	// LoadBalancers are normalized; they may be in any order.
	LoadBalancers []lb.LoadBalancer
	// RunDir is the absolute path of a directory for the PID file, the probe's socket and temporary files. It is at
	// most 80 bytes long, because a unix socket's path is at most 107.
	RunDir string
	// Modules are the absolute paths of dynamic modules to load. TCP needs the stream module, which Debian has as
	// /usr/lib/nginx/modules/ngx_stream_module.so and others have built in.
	Modules []string
	// Version is nginx's version, such as "1.22.1"; empty means the oldest that is supported.
	Version string
	// StubStatus says that nginx has ngx_http_stub_status_module; then it answers [WaitingPath].
	StubStatus bool
	// TLSDir is the absolute path of the directory with [CertificateFile] and [BundleFile]; empty means [DefaultTLSDir].
	// The workers must be able to read the certificates, and nobody else.
	TLSDir string
	// TicketKeys are the names of files in TLSDir, each with a key for session tickets of 80 bytes that all nodes share;
	// the first makes tickets, the others only read them. Without any there are no tickets.
	TicketKeys []string
	// User is the user, with a group of the same name, that workers run as; empty means "www-data".
	User string
	// Workers is the number of worker processes; zero means one for each CPU.
	Workers int
	// WorkerConnections is the number of connections of a worker; zero means [DefaultWorkerConnections]. Listening
	// sockets come on top: nginx refuses to start with fewer connections than those.
	WorkerConnections int
	// WorkerOpenFiles is the limit of open files that workers set themselves; zero leaves the inherited one. Raising
	// the hard limit needs CAP_SYS_RESOURCE.
	WorkerOpenFiles int
	// ShutdownTimeout is how long workers of an old generation may finish their connections, whole seconds; zero means
	// [DefaultShutdownTimeout].
	ShutdownTimeout time.Duration
}

// Result is the rendered configuration.
type Result struct {
	Files render.Files
	// Generation is what the generation probe answers.
	Generation string
	// Refused are the load balancers that were left out, sorted by key.
	Refused []Refusal

	owners map[string]lb.Key
}

// Refusal is a load balancer that could not be rendered, and why.
type Refusal struct {
	Key lb.Key
	lb.Finding
}

// Owner returns the load balancer that a file belongs to, given the file's path in [Result.Files].
func (r Result) Owner(path string) (lb.Key, bool) {
	k, ok := r.owners[path]
	return k, ok
}
