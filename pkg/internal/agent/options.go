package agent

import (
	"context"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/feed"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/generation"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/keyring"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// Options are what an agent needs.
type Options struct {
	// Node is the name of this node in the fleet.
	Node string
	// Interface carries the virtual IPs, and the adverts, from its own addresses; empty means the one that has the node's
	// address.
	Interface string
	// StateDir survives a reboot: generations, the last good configuration, the ledger.
	StateDir string
	// RunDir is for one boot: processes, sockets, logs.
	RunDir   string
	Software Software
	// Feed calls put with what is wanted, every time that it may have changed. last is what is known from the disk.
	Feed func(ctx context.Context, last *nodeconfig.Config, put func(feed.Update))
	// Report stores the node's status; nil keeps it here.
	Report func(context.Context, nodeconfig.Status) error
	// Grace is how long connections may go on when the agent is told to end; zero ends them at once.
	Grace time.Duration
	// DaemonVersion is for the status.
	DaemonVersion string
	Log           *slog.Logger
	Metrics       *Metrics

	// keys are the certificates of this node; New opens them.
	keys *keyring.Ring
}

// Software is the nginx and the keepalived that were found on the machine.
type Software struct {
	// Nginx and Keepalived are absolute paths.
	Nginx, Keepalived string
	// NginxVersion is empty when unknown.
	NginxVersion string
	// StubStatus says that nginx counts its connections (ngx_http_stub_status_module).
	StubStatus        bool
	KeepalivedVersion keepalived.Version
	// DumpSignal makes keepalived write its state; zero when it can't.
	DumpSignal syscall.Signal
	// Modules are the absolute paths of the modules that nginx has to load.
	Modules []string
	// User is whom nginx's workers run as.
	User string
}

func (o Options) newNginx() *driver.Nginx {
	return &driver.Nginx{
		Binary: o.Software.Nginx, RunDir: o.RunDir, Store: generation.Store{Dir: filepath.Join(o.StateDir, "nginx")},
	}
}

func (o Options) newKeepalived() *driver.Keepalived {
	return &driver.Keepalived{
		Binary: o.Software.Keepalived, RunDir: o.RunDir, DumpSignal: o.Software.DumpSignal,
		Store: generation.Store{Dir: filepath.Join(o.StateDir, "keepalived")},
	}
}
