package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// ledger is the memory of what may be ours on this node, kept on the disk: a daemon that comes back after anything
// knows which addresses it has to answer for.
type ledger struct {
	path string
	// Addresses are the virtual IPs and anchors that may be on the interface, sorted.
	Addresses []netip.Addr `json:"addresses"`
	// Listening are the addresses and ports that nginx may have, sorted.
	Listening []netip.AddrPort `json:"listening"`
	// Interface is where the addresses are, or were last: a node that is to announce nothing has none in its candidate,
	// and may have to sweep all the same.
	Interface string `json:"interface"`
}

// openLedger reads the ledger; with an error it is empty.
func openLedger(stateDir string) (*ledger, error) {
	l := &ledger{path: filepath.Join(stateDir, "ledger.json")}
	if err := readJSON(l.path, l); err != nil {
		return &ledger{path: l.path}, err
	}
	return l, nil
}

// widen adds what a candidate may bring, before it does.
func (l *ledger) widen(c *candidate) error {
	listening := slices.Concat(l.Listening, c.listens())
	slices.SortFunc(listening, netip.AddrPort.Compare)
	return l.write(ledger{
		Addresses: sorted(slices.Concat(l.Addresses, c.owned())), Listening: slices.Compact(listening),
		Interface: cmp.Or(c.iface, l.Interface),
	})
}

// settle forgets what is proven to be gone.
func (l *ledger) settle(c *candidate) error {
	return l.write(ledger{Addresses: c.owned(), Listening: c.listens(), Interface: cmp.Or(c.iface, l.Interface)})
}

func (l *ledger) write(next ledger) error {
	if slices.Equal(next.Addresses, l.Addresses) && slices.Equal(next.Listening, l.Listening) &&
		next.Interface == l.Interface {
		return nil
	}
	if err := writeJSON(l.path, next); err != nil {
		return err
	}
	next.path = l.path
	*l = next
	return nil
}

// configName is the file of the last good configuration, in the state directory.
const configName = "config.json"

// loadConfig returns the last good configuration, nil when there is none.
func loadConfig(stateDir string) (*nodeconfig.Config, error) {
	var saved struct {
		Version int
		nodeconfig.Config
	}
	if err := readJSON(filepath.Join(stateDir, configName), &saved); err != nil {
		return nil, err
	}
	if saved.Version != nodeconfig.Version {
		return nil, nil //nolint:nilnil // there is none that this program could read
	}
	return &saved.Config, nil
}

func saveConfig(stateDir string, c nodeconfig.Config) error {
	return writeJSON(filepath.Join(stateDir, configName), struct {
		Version int
		nodeconfig.Config
	}{nodeconfig.Version, c})
}

// readJSON fills v from a file. A file that is missing leaves v as it is.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}
