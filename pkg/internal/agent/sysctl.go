package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

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
