package generation

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// DefaultKeep is how many generations outlive a [Store.Prune].
const DefaultKeep = 3

// Store keeps the generations of one program.
type Store struct {
	// Dir is the directory of the store; it is made when needed.
	Dir string
}

// Path is the directory of a generation.
func (s Store) Path(id string) string { return filepath.Join(s.Dir, "gen", id) }

// CurrentPath is the directory that always names the current generation.
func (s Store) CurrentPath() string { return filepath.Join(s.Dir, "current") }

// Write makes a generation and returns its directory. A generation that is there already, with the same content, is
// left as it is.
func (s Store) Write(id string, files render.Files) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	dir := s.Path(id)
	if same(dir, files) {
		now := time.Now()
		_ = os.Chtimes(dir, now, now) // only Prune looks at it
		return dir, nil
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("generation %s: %w", id, err)
	}
	tmp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return "", fmt.Errorf("generation %s: %w", id, err)
	}
	defer os.RemoveAll(tmp)
	if err := fill(tmp, files); err != nil {
		return "", fmt.Errorf("generation %s: %w", id, err)
	}
	if err := replaceDir(tmp, dir); err != nil {
		return "", fmt.Errorf("generation %s: %w", id, err)
	}
	return dir, nil
}

func checkID(id string) error {
	if id == "" || id != filepath.Base(id) || strings.HasPrefix(id, ".") {
		return fmt.Errorf("generation %q: not a name for a directory", id)
	}
	return nil
}

func fill(dir string, files render.Files) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	made := dir
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		if in := filepath.Dir(path); in != made { // they are sorted, so that those of a directory come together
			if err := os.MkdirAll(in, 0o755); err != nil {
				return err
			}
			made = in
		}
		if err := os.WriteFile(path, f.Data, f.Perm()); err != nil {
			return err
		}
	}
	return nil
}

// replaceDir gives tmp the name dir. A damaged generation of that name steps aside first.
func replaceDir(tmp, dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		aside := tmp + ".damaged"
		if err := os.Rename(dir, aside); err != nil {
			return err
		}
		defer os.RemoveAll(aside)
	}
	return os.Rename(tmp, dir)
}

// same reports whether dir holds exactly these files.
func same(dir string, files render.Files) bool {
	count := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	})
	if err != nil || count != len(files) {
		return false
	}
	return !slices.ContainsFunc(files, func(f render.File) bool {
		data, err := os.ReadFile(filepath.Join(dir, f.Path))
		return err != nil || !bytes.Equal(data, f.Data)
	})
}

// Switch makes a generation the current one.
func (s Store) Switch(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	if _, err := os.Stat(s.Path(id)); err != nil {
		return fmt.Errorf("switch to generation %s: %w", id, err)
	}
	return atomicfile.Link(filepath.Join("gen", id), s.CurrentPath())
}

// Current returns the current generation, or "" when there is none.
func (s Store) Current() string {
	target, err := os.Readlink(s.CurrentPath())
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// SetRunning remembers which generation was seen to run.
func (s Store) SetRunning(id string) error {
	return atomicfile.Write(filepath.Join(s.Dir, "running"), []byte(id+"\n"), 0o644)
}

// Running returns what SetRunning last remembered, or "".
func (s Store) Running() string {
	data, err := os.ReadFile(filepath.Join(s.Dir, "running"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Prune removes old generations. The youngest [DefaultKeep] stay, and the current and the running one.
func (s Store) Prune() error {
	parent := filepath.Join(s.Dir, "gen")
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("prune generations: %w", err)
	}
	type aged struct {
		name string
		time time.Time
	}
	var old []aged
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // it has just gone
		}
		old = append(old, aged{e.Name(), info.ModTime()})
	}
	slices.SortFunc(old, func(a, b aged) int { return b.time.Compare(a.time) })
	keep := []string{s.Current(), s.Running()}
	for i, g := range old {
		if i < DefaultKeep || slices.Contains(keep, g.name) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, g.name)); err != nil {
			return fmt.Errorf("prune generations: %w", err)
		}
	}
	return nil
}
