// Command lb-daemon runs nginx and keepalived on a load-balancer node as lb-controller tells it.
package main

import (
	"os"

	"github.com/kubectl-lb/kubectl-lb/pkg/daemon"
)

func main() {
	os.Exit(daemon.Main(os.Args[1:], daemon.Environment, daemon.Streams{Out: os.Stdout, Err: os.Stderr}))
}
