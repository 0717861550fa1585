package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/agent"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/driver"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/feed"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/pidone"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// TestMain is a node's agent where the lab says so.
func TestMain(m *testing.M) {
	if os.Getenv("KLB_AGENT_NODE") == "" {
		m.Run()
		return
	}
	os.Exit(runNode())
}

func runNode() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if pidone.Needed() {
		status, err := pidone.Run(log)
		if err != nil {
			log.Error("init", "error", err)
		}
		return status
	}
	if err := runAgent(log); err != nil {
		log.Error("agent", "error", err)
		return 1
	}
	return 0
}

func runAgent(log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	dir := os.Getenv("KLB_AGENT_DIR")
	nginx := os.Getenv("KLB_AGENT_NGINX")
	if nginx == "" {
		nginx = "/usr/sbin/nginx"
	}
	dump, err := driver.DumpSignal(ctx, "/usr/sbin/keepalived")
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Node: os.Getenv("KLB_AGENT_NODE"), Interface: os.Getenv("KLB_AGENT_INTERFACE"),
		StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		Software: agent.Software{
			Nginx: nginx, Keepalived: "/usr/sbin/keepalived", NginxVersion: "1.22.1",
			StubStatus:        true,
			KeepalivedVersion: keepalived.Oldest(), DumpSignal: dump,
			Modules: []string{"/usr/lib/nginx/modules/ngx_stream_module.so"}, User: "www-data",
		},
		Feed: fileFeed(filepath.Join(dir, "wanted.json"), filepath.Join(dir, "material.json")),
		Report: func(_ context.Context, s nodeconfig.Status) error {
			data, err := json.Marshal(s)
			if err != nil {
				return err
			}
			return atomicfile.Write(filepath.Join(dir, "status.json"), data, 0o600)
		},
		Grace: time.Second,
		Log:   log,
	})
	if err != nil {
		return fmt.Errorf("new agent: %w", err)
	}
	return a.Run(ctx)
}

// fileFeed stands for the controller. Without a file of material nothing is known of any.
func fileFeed(config, material string) func(context.Context, *nodeconfig.Config, func(feed.Update)) {
	return func(ctx context.Context, _ *nodeconfig.Config, put func(feed.Update)) {
		var last []byte
		for ctx.Err() == nil {
			data, err := os.ReadFile(config)
			handout, missing := os.ReadFile(material)
			both := slices.Concat(data, handout)
			if err == nil && !bytes.Equal(both, last) {
				last = both
				var c nodeconfig.Config
				if err := json.Unmarshal(data, &c); err != nil {
					continue // it is being written
				}
				u := feed.Update{Config: &c}
				if missing == nil {
					if err := json.Unmarshal(handout, &u.Material); err != nil {
						continue
					}
				}
				put(u)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}
