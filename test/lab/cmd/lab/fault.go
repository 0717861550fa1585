package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

func newFault(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "fault [NODE] KIND [NODES]",
		Short: "Break something, or heal it",
		Long: `Break something, or heal it. With a machine:

  fault NODE link-down|link-up     pull the machine's cable, plug it in
  fault NODE power-off|power-on    no link and no process at once, nothing in memory; boot again
  fault NODE kill-daemon           SIGKILL lb-daemon (not its init; nginx and keepalived live on)
  fault NODE kill-keepalived       SIGKILL keepalived, both processes
  fault NODE kill-nginx            SIGKILL nginx, master and workers
  fault NODE freeze|thaw           stop lb-daemon, keepalived and nginx (SIGSTOP); let them go on
  fault NODE partition A,B         drop everything between NODE and each of A, B ("api" is the control plane)
  fault NODE heal                  link up, no partition, thawed

and for the lab as a whole:

  fault partition A,B              A and B see each other, and nobody else (the control plane neither)
  fault api-down|api-up            kill the API server and keep it down; start it again
  fault heal                       heal everything`,
		Example: "  lab fault lb1 link-down\n  lab fault lb1 partition lb2,lb3\n  lab fault partition lb1,client\n" +
			"  lab fault heal",
		Args: cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(*name)
			if err != nil {
				return err
			}
			return fault(cmd.Context(), l, args)
		},
	}
}

// fault tells the two forms apart by the first word: a kind for the whole lab, else a machine.
func fault(ctx context.Context, l *lab.Lab, args []string) error {
	switch {
	case args[0] == "partition" && len(args) == 2:
		return l.Partition(strings.Split(args[1], ",")...)
	case args[0] == "heal" && len(args) == 1:
		return l.HealAll(ctx)
	case args[0] == "api-down" && len(args) == 1:
		return l.APIDown(ctx)
	case args[0] == "api-up" && len(args) == 1:
		return l.APIUp(ctx)
	case len(args) == 1:
		return fmt.Errorf("fault %s: see lab fault --help", args[0])
	}
	node, kind := args[0], args[1]
	if kind == "partition" {
		if len(args) != 3 {
			return fmt.Errorf("fault %s partition: from whom? (lab fault %s partition A,B)", node, node)
		}
		return l.Cut(node, strings.Split(args[2], ",")...)
	}
	if len(args) != 2 {
		return fmt.Errorf("fault %s %s: takes no more words", node, kind)
	}
	kinds := map[string]func(string) error{
		"link-down": l.LinkDown, "link-up": l.LinkUp, "kill-daemon": l.KillDaemon,
		"kill-keepalived": func(n string) error { return l.Kill(n, lab.Keepalived) },
		"kill-nginx":      func(n string) error { return l.Kill(n, lab.Nginx) },
		"power-off":       func(n string) error { return l.PowerOff(ctx, n) },
		"power-on":        func(n string) error { return l.PowerOn(ctx, n) },
		"freeze":          l.Freeze, "thaw": l.Thaw, "heal": l.Heal,
	}
	do, ok := kinds[kind]
	if !ok {
		return fmt.Errorf("fault %q is unknown: see lab fault --help", kind)
	}
	return do(node)
}
