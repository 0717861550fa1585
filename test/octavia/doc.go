// Package octavia runs a real OpenStack Octavia for tests and for trying things out: Keystone, octavia-api and
// octavia-worker of Debian's packages (hack/deps-octavia.sh), with a MariaDB and a RabbitMQ of their own. The provider
// is "amphora" with upstream's no-op drivers, so everything is real but the virtual machines: API, policies, quotas,
// database, queue and task flows.
//
// All of it lives in a network namespace of its own where only the loopback is up, and in one folder; the way in is a
// [Gate], which also counts the calls and breaks them on demand. [Cloud.Down] leaves nothing behind.
//
// Debian 12's worker has a fault that real clouds have had as well: it forgets the children of a load balancer that
// was created in one call ([WorkerStock]). [WorkerCorrected] is the same worker with upstream's correction.
//
// It never listens on an address that another machine could reach, and it never touches daemons it has not started.
package octavia
