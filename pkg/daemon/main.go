package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/agent"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/feed"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/pidone"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/version"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// The exit statuses. A panic is 2, which an init takes for a death and not for an answer.
const (
	exitOK    = 0
	exitError = 1
)

// Streams are what the program writes to.
type Streams struct {
	Out, Err io.Writer
}

// Main is lb-daemon: it runs until it is told to end (SIGTERM, SIGINT), and returns the exit status.
func Main(args []string, env func(string) (string, bool), streams Streams) int {
	if len(args) > 0 && args[0] == "version" {
		printVersions(streams.Out)
		return exitOK
	}
	if len(args) > 0 && args[0] == prepareName {
		err := prepareNode(args[1:], env, streams.Err)
		if err != nil && !errors.Is(err, pflag.ErrHelp) {
			fmt.Fprintf(streams.Err, "lb-daemon %s: %v\n", prepareName, err)
			return exitError
		}
		return exitOK
	}
	config, err := loadConfiguration(args, env, streams.Err)
	if errors.Is(err, pflag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(streams.Err, "lb-daemon: %v\n", err)
		return exitError
	}
	log := newLog(config, streams.Err)
	status, err := start(config, log)
	if err != nil {
		log.Error("lb-daemon cannot go on", "error", err)
		return exitError
	}
	return status
}

func start(config Configuration, log *slog.Logger) (int, error) {
	if pidone.Needed() {
		return pidone.Run(log)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return exitOK, run(ctx, config, log)
}

func newLog(config Configuration, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(config.LogLevel)) // checked
	options := &slog.HandlerOptions{Level: level}
	if config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Grace is how long nginx may finish connections after the addresses have left; the container's own grace is 30 s.
const grace = 5 * time.Second

// The sizes that keep the daemon small: it allocates little, and what it allocates is soon garbage.
const (
	gcPercent   = 50
	memoryLimit = 56 << 20
)

func run(ctx context.Context, config Configuration, log *slog.Logger) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	klog.SetSlogLogger(log.With("origin", "client-go"))
	if err := raiseOpenFiles(); err != nil {
		log.Warn("nginx has to do with few open files", "error", err)
	}
	software, err := findSoftware(ctx, log)
	if err != nil {
		return err
	}
	client, err := newClient(config)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a, err := agent.New(agent.Options{
		Node: config.NodeName, Interface: config.Interface, StateDir: config.StateDir, RunDir: config.RunDir,
		Software: software, Grace: grace, DaemonVersion: version.String(), Log: log, Metrics: agent.NewMetrics(registry),
		Report: client.Report,
		Feed: func(ctx context.Context, last *nodeconfig.Config, put func(feed.Update)) {
			client.Watch(ctx, log, last, put)
		},
	})
	if err != nil {
		return err
	}
	closeServer, err := serve(ctx, config.MetricsBindAddress, newHandler(a, registry), log)
	if err != nil {
		return err
	}
	defer closeServer()
	log.Info("lb-daemon runs", "version", version.String(), "node", config.NodeName, "namespace", config.Namespace,
		"nginx", software.NginxVersion, "keepalived", software.KeepalivedVersion.String())
	return a.Run(ctx)
}

func newClient(config Configuration) (*feed.Client, error) {
	rc, err := restConfig(config.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("client for the API server: %w", err)
	}
	rc.UserAgent = "lb-daemon/" + version.String()
	return feed.NewClient(rc, feed.Namespaces{Documents: config.Namespace, Certificates: config.TLSNamespace})
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// raiseOpenFiles lets this process, and nginx that inherits it, open as many files as it may. Having set the limit also
// keeps Go from giving children the lower one that it started with.
func raiseOpenFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

func printVersions(w io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	nginx, keepalived := "not found", "not found"
	if s, err := findSoftware(ctx, slog.New(slog.DiscardHandler)); err == nil {
		nginx, keepalived = s.NginxVersion, s.KeepalivedVersion.String()
	}
	fmt.Fprintf(w, "lb-daemon   %s\nnginx       %s\nkeepalived  %s\n", version.String(), nginx, keepalived)
}

// Environment is the process's own environment for [Main].
func Environment(name string) (string, bool) { return os.LookupEnv(name) }
