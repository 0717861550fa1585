package kubelet

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// publish makes dir show exactly the files, all at once, the way kubelets do: the content lies in a folder named by
// its hash, ..data links to it, and each top entry links into ..data. Unchanged content touches nothing.
func publish(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %d %s\n", name, len(files[name]), files[name])
	}
	version := fmt.Sprintf("..%x", h.Sum(nil)[:8])
	data := filepath.Join(dir, "..data")
	old, err := os.Readlink(data)
	if err == nil && old == version {
		return nil
	}
	for name, content := range files {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("file %q leads out of its volume", name)
		}
		path := filepath.Join(dir, version, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, version), 0o755); err != nil { // also for no file at all
		return err
	}
	if err := relink(version, data); err != nil {
		return err
	}
	tops := map[string]bool{}
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		tops[top] = true
		if err := relink(filepath.Join("..data", top), filepath.Join(dir, top)); err != nil {
			return err
		}
	}
	return sweep(dir, version, tops)
}

// relink makes link lead to target in one step.
func relink(target, link string) error {
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	tmp := link + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

// sweep removes former versions and links to files that are no more.
func sweep(dir, version string, tops map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != version && name != "..data" && !tops[name] {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
