// Package lab gives tests, benches and people a real cluster on one Linux machine: a control plane, nodes that are
// network namespaces with real daemons in them, a client outside, faults on demand and a fair probe.
//
//	[Up] starts a lab and returns when it is ready; a supervisor process of its own then holds it
//	[Open] attaches to one that runs
//	[Lab.Exec], [Lab.RESTConfig], [Lab.Prober] …  use it; [Lab.Down] removes it
//
// Laws: the host's network is left alone (see package fabric); a lab that runs is never clobbered; after down there
// is no process, namespace, link, mount or file left, whatever had crashed before. Everything needs root.
//
// The command bin/lab (test/lab/cmd/lab) is a thin skin over this package, and also the program that the supervisor
// and the containers run as.
package lab
