package lab

import (
	"slices"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// netspaceProcesses finds a Pod's processes of that program by the name in their environment: a Pod has a network
// namespace of its own, so its node's does not show them.
func netspaceProcesses(l *Lab, program, pod string) ([]netspace.Process, error) {
	found, err := netspace.ProcessesWithEnv("HOSTNAME=" + pod)
	return slices.DeleteFunc(found, func(p netspace.Process) bool {
		value, _ := netspace.Env(p.PID, markName)
		return p.Program != program || value != l.Info().Dir
	}), err
}
