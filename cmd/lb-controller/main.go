// Command lb-controller gives addresses to load balancers and tells the nodes what to serve.
package main

import (
	"os"

	"github.com/kubectl-lb/kubectl-lb/pkg/controller"
)

func main() {
	os.Exit(controller.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
