package driver

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Withheld is what is added to the priority of a group that the node withholds. The priorities of nodes that serve are
// 130 to 254, so every such node comes before every one that withholds (3 to 127), and those keep their order.
const Withheld = -127

// Weights are the files, one for each VRRP group, whose number keepalived adds to the node's priority. They may be used
// from everywhere at once. A file is never removed while keepalived runs: that would count as 0.
type Weights struct {
	// Dir holds the files, named by the groups' IDs.
	Dir string

	mu       sync.Mutex
	withheld map[int]bool
}

func (w *Weights) path(group int) string { return filepath.Join(w.Dir, strconv.Itoa(group)) }

// Load makes the directory, reads the files that a former daemon has left, and returns which groups they withhold.
func (w *Weights) Load() (map[int]bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := os.MkdirAll(w.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	entries, err := os.ReadDir(w.Dir)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	w.withheld = make(map[int]bool)
	for _, e := range entries {
		group, err := strconv.Atoi(e.Name())
		if err != nil || w.path(group) != filepath.Join(w.Dir, e.Name()) {
			continue
		}
		data, err := os.ReadFile(w.path(group))
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		// What is no number counts as 0 with keepalived, and so it does here.
		w.withheld[group] = strings.TrimSpace(string(data)) == strconv.Itoa(Withheld)
	}
	return maps.Clone(w.withheld), nil
}

// Set withholds a group, or releases it; what it is already is not written again.
func (w *Weights) Set(group int, withheld bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have, ok := w.withheld[group]; ok && have == withheld {
		return nil
	}
	return w.write(group, withheld)
}

func (w *Weights) write(group int, withheld bool) error {
	word := "0"
	if withheld {
		word = strconv.Itoa(Withheld)
	}
	if err := writeSwitch(w.path(group), word); err != nil {
		return fmt.Errorf("weight of group %d: %w", group, err)
	}
	if w.withheld == nil {
		w.withheld = make(map[int]bool)
	}
	w.withheld[group] = withheld
	return nil
}
