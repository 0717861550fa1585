package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sysctlRoot is where the settings of this network namespace are.
const sysctlRoot = "/proc/sys/net"

// PrepareNode sets the kernel's settings that a node with virtual IPs on that interface needs, in this network
// namespace.
func PrepareNode(iface string) error {
	return errors.Join(allowForeignAddresses(sysctlRoot), answerOwnOnly(sysctlRoot, iface))
}

// allowForeignAddresses lets nginx listen on virtual IPs that another node holds now, in this network namespace. A
// family that the kernel does not have needs nothing.
func allowForeignAddresses(root string) error {
	for _, family := range []string{"ipv4", "ipv6"} {
		path := filepath.Join(root, family, "ip_nonlocal_bind")
		have, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && strings.TrimSpace(string(have)) == "1" {
			continue
		}
		if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
			return fmt.Errorf("nginx could not listen on addresses that other nodes hold: set net.%s.ip_nonlocal_bind=1 "+
				"on this node, or let lb-daemon do it (privileged): %w", family, err)
		}
	}
	return nil
}

// answerOwnOnly keeps the node from answering ARP on an interface for addresses that are on another one (arp_ignore),
// and from asking with such an address (arp_announce). The kernel takes the larger of the interface's setting and that
// of all (ip-sysctl.rst).
func answerOwnOnly(root, iface string) error {
	for _, setting := range []struct {
		name  string
		least int
	}{{"arp_ignore", 1}, {"arp_announce", 2}} {
		path := filepath.Join(root, "ipv4", "conf", iface, setting.name)
		have := max(readNumber(path), readNumber(filepath.Join(root, "ipv4", "conf", "all", setting.name)))
		if have >= setting.least {
			continue
		}
		if err := os.WriteFile(path, fmt.Appendln(nil, setting.least), 0o644); err != nil {
			return fmt.Errorf("every node would answer ARP for every virtual IP if they stayed on the loopback interface: set "+
				"net.ipv4.conf.%s.%s=%d on this node, or let lb-daemon do it (privileged): %w",
				iface, setting.name, setting.least, err)
		}
	}
	return nil
}

func readNumber(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return n
}
