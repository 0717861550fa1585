package octavia_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// tokenLife lets every test that takes longer have its token renewed on the way. OpenStack's own programs log in anew for
// each call with a token that ends within two minutes (keystoneauth's MIN_TOKEN_LIFE_SECONDS): with a minute, Keystone had
// five logins for each token that it was asked about.
const tokenLife = 4 * time.Minute

// cloud is the one that all tests of this package share.
var cloud *octavia.Cloud

func TestMain(m *testing.M) { os.Exit(withCloud(m.Run)) }

func withCloud(run func() int) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "not root: no namespaces, no cloud")
		return 1
	}
	var err error
	if running := os.Getenv("KUBECTL_LB_OCTAVIA"); running != "" { // lab octavia up --cloud …: saves the minute
		if cloud, err = octavia.Open(running); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return run()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cloud, err = octavia.Up(ctx, octavia.Options{Name: name(), Tied: true, Out: os.Stderr, TokenLife: tokenLife})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// An interrupted run leaves nothing behind. (The end of withCloud ends ctx, too, which is no interruption.)
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-ctx.Done():
			_ = cloud.Down()
			os.Exit(130)
		case <-over:
		}
	}()
	code := run()
	if err := cloud.Down(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// name may be chosen, so that several checkouts can be tested at once.
func name() string {
	if n := os.Getenv("KUBECTL_LB_OCTAVIA_NAME"); n != "" {
		return n
	}
	return "test"
}

// openGate returns a gate of the test's own.
func openGate(t *testing.T) *octavia.Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := cloud.OpenGate(l)
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}
