package driver

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Gate is the file that keepalived watches: while it is shut, no instance takes an address or keeps one. It may be used
// from everywhere at once.
type Gate struct {
	// Path is the file.
	Path string

	mu    sync.Mutex
	known bool
	open  bool
}

// Make makes the file, shut, unless there is one, and learns what it says: keepalived refuses a configuration that
// names a missing one.
func (g *Gate) Make() error {
	data, err := os.ReadFile(g.Path)
	if err != nil {
		return g.Set(false)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = strings.TrimSpace(string(data)) == "0"
	// What is not shut for certain is written anew.
	g.known = g.open || strings.TrimSpace(string(data)) == "1"
	return nil
}

// Set opens or shuts the gate; what it is already is not written again.
func (g *Gate) Set(open bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known && g.open == open {
		return nil
	}
	word := "1"
	if open {
		word = "0"
	}
	if err := writeSwitch(g.Path, word); err != nil {
		return fmt.Errorf("set the gate: %w", err)
	}
	g.known, g.open = true, open
	return nil
}

// Open reports whether the gate is open.
func (g *Gate) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}
