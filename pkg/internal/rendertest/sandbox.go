package rendertest

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// sandbox prepares the namespaces that a command runs in: a network with an interface eth0 where every address can be
// bound, and an empty /run. Both vanish with the command.
const sandbox = `
mount -t tmpfs tmpfs /run
mkdir /run/kubectl-lb
ip link set lo up
ip link add eth0 type veth peer name peer0
ip link set eth0 up
ip link set peer0 up
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
exec "$@"
`

// InSandbox is the environment variable that says that the test runs in such namespaces already, as by hack/fuzz-l7.sh;
// then commands run there one after the other.
const InSandbox = "RENDERTEST_IN_SANDBOX"

// Sandboxed returns a command that runs in namespaces of its own. Without root it skips the test.
func Sandboxed(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("namespaces need root")
	}
	if os.Getenv(InSandbox) != "" {
		return exec.CommandContext(tb.Context(), "flock", append([]string{"/run/rendertest.lock", name}, args...)...)
	}
	argv := append([]string{"--net", "--mount", "--propagation", "private", "sh", "-euc", sandbox, "sh", name}, args...)
	return exec.CommandContext(tb.Context(), "unshare", argv...)
}

// Poll calls ok every few milliseconds until it returns true, and reports whether it did so within the time.
func Poll(within time.Duration, ok func() bool) bool {
	end := time.After(within)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}
