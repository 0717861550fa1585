package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// gateAddress is where the cloud is to be found on the host unless something else is asked for.
const gateAddress = "127.0.0.1:19876"

func newOctavia(labName *string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "octavia", Short: "A real OpenStack Octavia (no-op drivers) on this machine",
		Long: `A real OpenStack Octavia: Keystone, API and worker of Debian's packages (hack/deps-octavia.sh), with drivers
that only pretend to start virtual machines. It lives in a network namespace of its own; a gate on the host's loopback
leads into it, and breaks calls on demand.`,
	}
	name := cmd.PersistentFlags().String("cloud", "octavia", "the cloud's name; several may run side by side")
	gate := cmd.PersistentFlags().String("gate", gateAddress, "where the gate listens")
	cmd.AddCommand(newOctaviaUp(name, gate), newOctaviaDown(name), newOctaviaEnv(name, gate), newOctaviaSQL(name),
		newOctaviaFault(name, gate), newOctaviaGate(name, gate, labName))
	return cmd
}

func newOctaviaUp(name, gate *string) *cobra.Command {
	worker := string(octavia.WorkerCorrected)
	var tokenLife time.Duration
	cmd := &cobra.Command{
		Use: "up", Short: "Start it, with a gate, and wait until it answers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := octavia.Up(cmd.Context(), octavia.Options{
				Name: *name, Worker: octavia.Worker(worker), TokenLife: tokenLife, Out: cmd.ErrOrStderr(),
			})
			if err != nil {
				return err
			}
			defer c.Close()
			if err := startGate(c, *name, *gate); err != nil {
				return err
			}
			return printOctaviaEnv(cmd.OutOrStdout(), c, *gate)
		},
	}
	cmd.Flags().StringVar(&worker, "worker", worker, "corrected, or stock: Debian's, which forgets children")
	cmd.Flags().DurationVar(&tokenLife, "token-life", time.Hour, "how long Keystone's tokens are good for")
	return cmd
}

// startGate runs this program again as the gate, in the background.
func startGate(c *octavia.Cloud, name, address string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.Dir(), "log", "gate.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "octavia", "gate", "--cloud", name, "--gate", address)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the gate does not open, see %s: %w", log.Name(), err)
		}
	}
}

func newOctaviaGate(name, gate, labName *string) *cobra.Command {
	inside := false
	cmd := &cobra.Command{
		Use: "gate", Short: "Let traffic in until interrupted; up does so by itself", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := octavia.Open(*name)
			if err != nil {
				return err
			}
			defer c.Close()
			l, err := listen(*gate, *labName, inside)
			if err != nil {
				return err
			}
			g := c.OpenGate(l)
			c.Await(cmd.Context())
			return g.Close()
		},
	}
	cmd.Flags().BoolVar(&inside, "inside", false,
		"listen at --gate in the network of the lab's control plane (lab --name), for the lab's nodes")
	return cmd
}

func listen(address, labName string, inside bool) (net.Listener, error) {
	if !inside {
		return net.Listen("tcp", address)
	}
	l, err := lab.Open(labName)
	if err != nil {
		return nil, err
	}
	var listener net.Listener
	err = netspace.Do(netspace.Path(l.Info().FabricNamespace), func() error {
		var err error
		listener, err = net.Listen("tcp", address)
		return err
	})
	return listener, err
}

func newOctaviaDown(name *string) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Remove it, and everything that a crash of it may have left", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return octavia.Down(*name) },
	}
}

func newOctaviaEnv(name, gate *string) *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "Print the variables that lead to it, for a shell's eval", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := octavia.Open(*name)
			if err != nil {
				return err
			}
			defer c.Close()
			return printOctaviaEnv(cmd.OutOrStdout(), c, *gate)
		},
	}
}

func printOctaviaEnv(out io.Writer, c *octavia.Cloud, gate string) error {
	authURL := "http://" + gate + "/identity/v3"
	path := filepath.Join(c.Dir(), "clouds.yaml")
	if err := os.WriteFile(path, []byte(octavia.CloudsYAML(authURL)), 0o600); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "export OS_CLIENT_CONFIG_FILE=%s\nexport OS_CLOUD=demo\nexport OS_AUTH_URL=%s\n"+
		"# logs: %s\n", path, authURL, filepath.Join(c.Dir(), "log"))
	return err
}

func newOctaviaSQL(name *string) *cobra.Command {
	return &cobra.Command{
		Use: "sql STATEMENT", Short: "Run SQL in Octavia's database, to force a status", Args: cobra.ExactArgs(1),
		Example: `  lab octavia sql "update member set operating_status='ERROR' where ip_address='192.0.2.11'"
  lab octavia sql "update load_balancer set provisioning_status='ERROR' where name='default-web-loadbalancer'"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := octavia.Open(*name)
			if err != nil {
				return err
			}
			defer c.Close()
			rows, err := c.SQL(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), rows)
			return err
		},
	}
}

func newOctaviaFault(name, gate *string) *cobra.Command {
	var f octavia.Fault
	cmd := &cobra.Command{
		Use: "fault KIND", Short: "Break something, or heal it", Args: cobra.ExactArgs(1),
		Long: `Break something, or heal it:

  fault worker-down|worker-up   the worker ends after its work; it starts again (work waits in the queue)
  fault worker-kill             SIGKILL the worker: what it was at stays PENDING for ever
  fault worker-stock            start Debian's worker, which forgets the children of a single-call create
  fault status                  the gate answers --status
  fault hang                    the gate never answers
  fault reset                   the gate resets the connection; with --lost only after the call has been done
  fault heal                    the gate lets everything pass, and the worker (corrected) runs

The flags choose the calls that the gate breaks.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := octavia.Open(*name)
			if err != nil {
				return err
			}
			defer c.Close()
			return octaviaFault(cmd.Context(), c, octaviaFaultOptions{kind: args[0], gate: *gate, fault: f})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Method, "method", "", "only calls with this method")
	flags.StringVar(&f.Path, "path", "", "only calls with this in path or query")
	flags.BoolVar(&f.Identity, "identity", false, "calls to Keystone in place of those to Octavia")
	flags.IntVar(&f.After, "after", 0, "let so many calls pass first")
	flags.IntVar(&f.Times, "times", 0, "how many calls to break, 0 for all")
	flags.IntVar(&f.Status, "status", 503, "the status to answer with")
	flags.StringVar(&f.Text, "text", "", "what the answer says")
	flags.IntVar(&f.RetryAfter, "retry-after", 0, "a Retry-After header, in seconds")
	flags.BoolVar(&f.Lost, "lost", false, "let the call be done, and lose its answer")
	return cmd
}

type octaviaFaultOptions struct {
	kind, gate string
	fault      octavia.Fault
}

func octaviaFault(ctx context.Context, c *octavia.Cloud, o octaviaFaultOptions) error {
	f := o.fault
	if o.kind != "status" {
		f.Status, f.RetryAfter = 0, 0
	}
	switch o.kind {
	case "worker-down":
		return c.StopWorker(unix.SIGTERM)
	case "worker-kill":
		return c.StopWorker(unix.SIGKILL)
	case "worker-up":
		return c.StartWorker(ctx, octavia.WorkerCorrected)
	case "worker-stock":
		return c.StartWorker(ctx, octavia.WorkerStock)
	case "hang":
		f.Hang = true
	case "reset":
		f.Reset = true
	case "status":
	case "heal":
		if err := octavia.MendAt(ctx, o.gate); err != nil {
			return err
		}
		return c.StartWorker(ctx, octavia.WorkerCorrected)
	default:
		return fmt.Errorf("fault %s is unknown: see lab octavia fault --help", strings.TrimSpace(o.kind))
	}
	return octavia.BreakAt(ctx, o.gate, f)
}
