// Package netspace makes, opens and removes Linux network namespaces, and does things inside them: run a function,
// dial a socket, start a command, list the processes that live there.
//
// Law: no call leaves an OS thread of the Go runtime in a foreign namespace, and none ever moves the process's main
// thread, since /proc/PID/ns/net shows that thread's namespace and the lab's clean-up kills by it.
//
// It knows nothing of the lab's topology (package fabric) nor of Kubernetes.
package netspace
