// Command kubectl-lb is the kubectl plugin of the project: kubectl lb.
package main

import (
	"os"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
}
