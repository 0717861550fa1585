package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// The programs that faults are about, as their executables are called.
const (
	Daemon     = "lb-daemon"
	Keepalived = "keepalived"
	Nginx      = "nginx"
)

// LinkDown takes the machine's link down, as pulling its cable would.
func (l *Lab) LinkDown(node string) error {
	n, err := l.Node(node)
	if err != nil {
		return err
	}
	return fabric.LinkDown(n)
}

// LinkUp brings the machine's link up again.
func (l *Lab) LinkUp(node string) error {
	n, err := l.Node(node)
	if err != nil {
		return err
	}
	return fabric.LinkUp(l.plan, n)
}

// Processes returns the living processes of that program in the machine, by pid. "" means every process.
func (l *Lab) Processes(node, program string) ([]netspace.Process, error) {
	n, err := l.Node(node)
	if err != nil {
		return nil, err
	}
	all, err := netspace.Processes(netspace.Path(n.Namespace))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p netspace.Process) bool {
		return p.State == "Z" || program != "" && p.Program != program
	}), nil
}

// AllProcesses returns the living processes of the whole lab, those of pods in networks of their own included, by pid.
func (l *Lab) AllProcesses() ([]netspace.Process, error) {
	all, err := netspace.ProcessesWithEnv(mark(l.info.Dir))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p netspace.Process) bool { return p.State == "Z" }), nil
}

// KillDaemon kills the node's lb-daemon with SIGKILL: not the init that restarts it, but the daemon itself, so that
// the nginx and keepalived beside it live on.
func (l *Lab) KillDaemon(node string) error {
	return l.signal(node, unix.SIGKILL, func(p netspace.Process) bool { return p.Program == Daemon && p.InnerPID != 1 })
}

// Kill kills every process of the program in the node with SIGKILL: keepalived's parent and child, nginx's master
// and workers.
func (l *Lab) Kill(node, program string) error {
	return l.signal(node, unix.SIGKILL, func(p netspace.Process) bool { return p.Program == program })
}

// Freeze stops everything of the load balancer in the node (SIGSTOP), as a hung machine would; Thaw goes on.
func (l *Lab) Freeze(node string) error { return l.signal(node, unix.SIGSTOP, ofLoadBalancer) }

// Thaw lets what was frozen go on.
func (l *Lab) Thaw(node string) error { return l.signal(node, unix.SIGCONT, ofLoadBalancer) }

// FreezeProgram stops one program of the node (SIGSTOP), ThawProgram lets it go on.
func (l *Lab) FreezeProgram(node, program string) error {
	return l.signal(node, unix.SIGSTOP, func(p netspace.Process) bool { return p.Program == program })
}

// ThawProgram lets a program of the node go on that was stopped.
func (l *Lab) ThawProgram(node, program string) error {
	return l.signal(node, unix.SIGCONT, func(p netspace.Process) bool { return p.Program == program })
}

func ofLoadBalancer(p netspace.Process) bool {
	return p.Program == Daemon || p.Program == Keepalived || p.Program == Nginx
}

// signal sends to the matching processes, all found before the first gets it. None at all is an error: a fault that
// hit nobody must not look like one that did.
func (l *Lab) signal(node string, sig unix.Signal, match func(netspace.Process) bool) error {
	processes, err := l.Processes(node, "")
	if err != nil {
		return err
	}
	var errs []error
	hit := 0
	for _, p := range processes {
		if match(p) {
			hit++
			errs = append(errs, p.Signal(sig))
		}
	}
	if hit == 0 {
		return fmt.Errorf("%s: no such process runs there", node)
	}
	return errors.Join(errs...)
}

// The verbs of the supervisor, whose kubelets have a node's processes.
const (
	powerOff = "power-off"
	powerOn  = "power-on"
)

// PowerOff takes a node's power: its link is down first, then every process of it is dead, and what its kernel knew is
// forgotten. Nothing says goodbye.
func (l *Lab) PowerOff(ctx context.Context, node string) error {
	return l.control(ctx, powerOff+"/"+node)
}

// PowerOn boots the node again: the link comes up and its Pods are started.
func (l *Lab) PowerOn(ctx context.Context, node string) error {
	return l.control(ctx, powerOn+"/"+node)
}

// Cut drops every frame between the machine and each of the others, both ways. "api" is the control plane.
func (l *Lab) Cut(node string, others ...string) error {
	return fabric.Cut(l.plan, []string{node}, others)
}

// Partition cuts the group from everybody else, the control plane included.
func (l *Lab) Partition(group ...string) error {
	others := []string{fabric.API}
	for _, n := range l.plan.Nodes {
		if !slices.Contains(group, n.Name) {
			others = append(others, n.Name)
		}
	}
	return fabric.Cut(l.plan, group, others)
}

// Heal undoes what was done to the machine: its link comes up, its partitions end, it thaws. What was killed stays
// killed until somebody starts it again.
func (l *Lab) Heal(node string) error {
	n, err := l.Node(node)
	if err != nil {
		return err
	}
	cuts, err := fabric.Cuts(l.plan)
	if err != nil {
		return err
	}
	mine := slices.DeleteFunc(cuts, func(c fabric.Pair) bool { return c.A != node && c.B != node })
	return errors.Join(fabric.Mend(l.plan, mine), l.healLink(n), l.thawFrozen(node))
}

// healLink leaves a link alone that is up: setting its routes anew could only disturb.
func (l *Lab) healLink(n fabric.Node) error {
	up, _, err := fabric.LinkState(n)
	if err != nil || up {
		return err
	}
	return fabric.LinkUp(l.plan, n)
}

func (l *Lab) thawFrozen(node string) error {
	processes, err := l.Processes(node, "")
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range processes {
		if p.State == "T" {
			errs = append(errs, p.Signal(unix.SIGCONT))
		}
	}
	return errors.Join(errs...)
}

// HealAll gives every machine its power, heals it, and brings the API server back.
func (l *Lab) HealAll(ctx context.Context) error {
	var errs []error
	for _, n := range l.plan.Nodes {
		if n.Role != fabric.RoleClient {
			errs = append(errs, l.PowerOn(ctx, n.Name))
		}
		errs = append(errs, l.Heal(n.Name))
	}
	return errors.Join(append(errs, l.APIUp(ctx))...)
}

// Cuts returns the connections that are cut now.
func (l *Lab) Cuts() ([]fabric.Pair, error) { return fabric.Cuts(l.plan) }

// APIDown kills the API server and keeps it down. Nodes, Pods and the data plane go on.
func (l *Lab) APIDown(ctx context.Context) error { return l.control(ctx, "api-down") }

// APIUp starts the API server again and waits until it is ready.
func (l *Lab) APIUp(ctx context.Context) error { return l.control(ctx, "api-up") }

// Mend ends the partition between the group and everybody else, and leaves other faults alone.
func (l *Lab) Mend(group []string) error {
	cuts, err := fabric.Cuts(l.plan)
	if err != nil {
		return err
	}
	across := slices.DeleteFunc(cuts, func(c fabric.Pair) bool {
		return slices.Contains(group, c.A) == slices.Contains(group, c.B)
	})
	return fabric.Mend(l.plan, across)
}
