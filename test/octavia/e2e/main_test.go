package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/octavia"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

const (
	// gateAddress is where the lab's machines find the cloud: the control plane's address, which all of them reach.
	gateAddress = "10.88.0.1:19876"
	// name is the lab's and the cloud's.
	name = "octavia"
)

// configuration is the controller's. The provider is the one that the walk-through of 2016 shows.
const configuration = "{enabled: true, cloudsFile: /etc/openstack/clouds.yaml, cloud: demo, subnet: " + octavia.Subnet +
	", provider: octavia, resync: 5s, stuckAfter: 10s}"

var (
	shared *rig.Rig
	cloud  *octavia.Cloud
	// gate is the way in that the controllers take, and user is a user of the same project, by a way in of people.
	gate   *octavia.Gate
	people *octavia.Gate
	user   *octavia.Session
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "not root: no namespaces, no lab")
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "octavia/e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	defer func() { err = errors.Join(err, down()) }()
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		if running := os.Getenv("KUBECTL_LB_OCTAVIA"); running != "" { // lab octavia up --cloud …: saves the start
			cloud, err = octavia.Open(running)
			return err
		}
		cloud, err = octavia.Up(bothCtx, octavia.Options{Name: name, Tied: true, Out: os.Stderr})
		return err
	})
	both.Go(func() (err error) {
		shared, err = rig.Up(bothCtx, rig.Options{
			Name: name, LBNodes: 1, Workers: 2, Octavia: configuration, Manifests: secret(), Progress: os.Stderr,
		})
		return err
	})
	if err := both.Wait(); err != nil {
		return 1, err
	}
	if err := openGates(ctx); err != nil {
		return 1, err
	}
	if err := shared.Install(ctx); err != nil {
		return 1, err
	}
	if err := shared.ApplyFile(ctx, "examples/coffee-app.yaml"); err != nil {
		return 1, err
	}
	if _, err := shared.MustKubectl(ctx, "", "patch", "service", "coffee-svc", "-p", `{"spec":{"type":"NodePort"}}`); err != nil {
		return 1, err
	}
	if err := shared.WaitService(ctx, "default", "coffee-svc"); err != nil {
		return 1, err
	}
	// An interrupted run leaves nothing behind. (The end of the tests ends ctx, too, which is no interruption.)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-ctx.Done():
			_ = down()
			os.Exit(130)
		case <-over:
		}
	}()
	return m.Run(), nil
}

// secret is the clouds.yaml as deploy/ wants it.
func secret() string {
	yaml := octavia.CloudsYAML("http://" + gateAddress + "/identity/v3")
	return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: lb-openstack\n  namespace: " + rig.SystemNamespace +
		"\nstringData:\n  clouds.yaml: |\n    " + strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n    ")
}

func openGates(ctx context.Context) error {
	var inside net.Listener
	err := netspace.Do(netspace.Path(shared.Lab.Info().FabricNamespace), func() (err error) {
		inside, err = (&net.ListenConfig{}).Listen(ctx, "tcp", gateAddress)
		return err
	})
	if err != nil {
		return err
	}
	gate = cloud.OpenGate(inside)
	outside, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	people = cloud.OpenGate(outside)
	user, err = people.Login(ctx, "demo")
	return err
}

func down() error {
	var errs []error
	if gate != nil {
		errs = append(errs, gate.Close())
	}
	if people != nil {
		errs = append(errs, people.Close())
	}
	if shared != nil {
		shared.Down()
	}
	if cloud != nil && os.Getenv("KUBECTL_LB_OCTAVIA") == "" {
		errs = append(errs, cloud.Down())
	}
	return errors.Join(errs...)
}
