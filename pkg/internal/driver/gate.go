package driver

import (
	"fmt"
	"os"
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
	// locked gates stay shut.
	locked bool
}

// Make makes the file, shut, unless there is one: keepalived refuses a configuration that names a missing one.
func (g *Gate) Make() error {
	if _, err := os.Stat(g.Path); err == nil {
		return nil
	}
	return g.Set(false)
}

// Set opens or shuts the gate; what it is already is not written again.
func (g *Gate) Set(open bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	open = open && !g.locked
	if g.known && g.open == open {
		return nil
	}
	text := "1\n"
	if open {
		text = "0\n"
	}
	// In place, for keepalived follows the file and not its name.
	if err := os.WriteFile(g.Path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("set the gate: %w", err)
	}
	g.known, g.open = true, open
	return nil
}

// Lock shuts the gate for good.
func (g *Gate) Lock() error {
	g.mu.Lock()
	g.locked = true
	g.mu.Unlock()
	return g.Set(false)
}

// Open reports whether the gate is open.
func (g *Gate) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}
