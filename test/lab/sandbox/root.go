package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hostDirs are what a container sees of the host, read-only.
func hostDirs() []string {
	return []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"}
}

// freshDirs exist in every root, empty and writable: what the packages of nginx and keepalived would have made in an
// image's /var, besides the usual.
func freshDirs() []string {
	return []string{
		"/tmp", "/run", "/root", "/proc", "/sys", "/dev/pts", "/dev/shm", "/var/tmp", "/var/log/nginx",
		"/var/lib/nginx", "/var/cache/nginx", "/var/lib/kubectl-lb",
	}
}

// buildRoot mounts the container's file system at spec.Root, in the mount namespace of the calling thread.
func buildRoot(spec Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("root", spec.Root, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	r := root(spec.Root)
	for _, dir := range hostDirs() {
		if err := r.host(dir); err != nil {
			return err
		}
	}
	for _, dir := range freshDirs() {
		if err := os.MkdirAll(r.at(dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", r.at("/var/run")); err != nil {
		return err
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if err := os.Chmod(r.at(dir), 0o1777); err != nil {
			return err
		}
	}
	if err := r.kernel(); err != nil {
		return err
	}
	if spec.Program != "" {
		m := Mount{Source: spec.Program, Target: "/" + filepath.Base(spec.Program), ReadOnly: true}
		if err := r.bind(m); err != nil {
			return err
		}
	}
	for _, m := range spec.Mounts {
		if err := r.bind(m); err != nil {
			return fmt.Errorf("volume at %s: %w", m.Target, err)
		}
	}
	return nil
}

// root is the folder that will be a container's /.
type root string

func (r root) at(path string) string { return filepath.Join(string(r), path) }

// host shows a folder of the host, or repeats its link (/bin -> usr/bin). What the host has not, the root has not.
func (r root) host(dir string) error {
	if to, err := os.Readlink(dir); err == nil {
		return os.Symlink(to, r.at(dir))
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return r.bind(Mount{Source: dir, Target: dir, ReadOnly: true})
}

// kernel mounts what the kernel offers.
func (r root) kernel() error {
	if err := unix.Mount("proc", r.at("/proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := unix.Mount("sysfs", r.at("/sys"), "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := "/dev/" + device
		if err := r.bind(Mount{Source: path, Target: path}); err != nil {
			return err
		}
	}
	links := map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	}
	for name, to := range links {
		if err := os.Symlink(to, r.at("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// bind makes the mount point, where it is missing, and binds the source there.
func (r root) bind(m Mount) error {
	st, err := os.Stat(m.Source)
	if err != nil {
		return err
	}
	target, err := r.mountPoint(m.Target, st.IsDir())
	if err != nil {
		return err
	}
	if err := unix.Mount(m.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", m.Source, err)
	}
	if !m.ReadOnly {
		return nil
	}
	if err := unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", m.Target, err)
	}
	return nil
}

// mountPoint makes a file or folder at the path inside the root. Where the way leads through a folder of the host,
// which is read-only, that folder is replaced by a writable one with the same entries bound into it.
func (r root) mountPoint(path string, dir bool) (string, error) {
	path = filepath.Clean("/" + path)
	current := string(r)
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, part := range parts {
		next := filepath.Join(current, part)
		if to, err := os.Readlink(next); err == nil { // links of the host are followed inside the root only
			if !filepath.IsAbs(to) {
				to = filepath.Join(strings.TrimPrefix(current, string(r)), to)
			}
			return r.mountPoint(filepath.Join(append([]string{to}, parts[i+1:]...)...), dir)
		}
		last := i == len(parts)-1
		if _, err := os.Stat(next); err == nil {
			current = next
			continue
		}
		err := makeEntry(next, !last || dir)
		if errors.Is(err, unix.EROFS) {
			if err := r.open(current); err != nil {
				return "", err
			}
			err = makeEntry(next, !last || dir)
		}
		if err != nil {
			return "", err
		}
		current = next
	}
	return current, nil
}

func makeEntry(path string, dir bool) error {
	if dir {
		return os.Mkdir(path, 0o755)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// open puts a writable folder in the place of a read-only one, with all its entries bound into it.
func (r root) open(dir string) error {
	hostDir := strings.TrimPrefix(dir, string(r))
	entries, err := os.ReadDir(hostDir)
	if err != nil {
		return err
	}
	if err := r.mayOpen(dir); err != nil {
		return err
	}
	if err := unix.Mount("open", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("open %s: %w", hostDir, err)
	}
	for _, e := range entries {
		path := filepath.Join(hostDir, e.Name())
		switch {
		case e.Type()&os.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err == nil {
				err = os.Symlink(to, r.at(path))
			}
			if err != nil {
				return err
			}
		case e.IsDir() || e.Type().IsRegular():
			if err := r.bind(Mount{Source: path, Target: path, ReadOnly: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayOpen checks that dir shows the host's folder of the same name: a volume that
// is read-only must never be opened.
func (r root) mayOpen(dir string) error {
	hostDir := strings.TrimPrefix(dir, string(r))
	for _, d := range hostDirs() {
		if hostDir == d || strings.HasPrefix(hostDir, d+"/") {
			return nil
		}
	}
	return fmt.Errorf("%s is read-only: no mount point can be made in it", hostDir)
}
