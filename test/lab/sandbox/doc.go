// Package sandbox runs one container of the lab: a process with a root file system, PID, mount and UTS namespace of
// its own, inside a given network namespace. There are no images: the root is made of the host's own programs and
// libraries, read-only, with fresh /proc, /dev, /sys, /tmp, /run and /var, and the pod's volumes where it wants them.
//
// It works in two halves of one program: [Start] runs the program again as its hidden subcommand [Subcommand], and
// there [Main] builds the root, pivots into it and becomes the container's process.
//
// It isolates for fidelity, not for safety: containers run as root with every capability.
package sandbox
