package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Path is where a container finds programs; the last entry is the mapped program's.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/"

// Main is the second half, for the program's main function: it becomes the container's process and returns only
// with an error, after which the caller must exit with a status other than zero.
func Main() error {
	runtime.LockOSThread() // the thread that enters the namespaces is the one that must exec
	var spec Spec
	pipe := os.NewFile(3, "spec")
	if err := json.NewDecoder(pipe).Decode(&spec); err != nil {
		return fmt.Errorf("container: read spec: %w", err)
	}
	pipe.Close()
	if err := unix.Setns(4, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("container: enter network namespace: %w", err)
	}
	unix.Close(4)
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("container: host name: %w", err)
	}
	if err := buildRoot(spec); err != nil {
		return fmt.Errorf("container: root: %w", err)
	}
	if err := enterRoot(spec.Root); err != nil {
		return fmt.Errorf("container: enter root: %w", err)
	}
	dir := spec.Dir
	if dir == "" {
		dir = "/"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("container: working directory: %w", err)
	}
	if err := os.Chdir(dir); err != nil {
		return fmt.Errorf("container: working directory: %w", err)
	}
	argv0, err := lookUp(spec)
	if err != nil {
		return fmt.Errorf("container: %w", err)
	}
	// Whatever whoever started the lab had open is none of the container's business.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("container: close descriptors: %w", err)
	}
	return fmt.Errorf("container: exec %s: %w", argv0, unix.Exec(argv0, spec.Argv, spec.Env))
}

// enterRoot makes root the process's / and lets go of the host's mounts, so that nothing of the host stays busy
// because of a container.
func enterRoot(root string) error {
	old := filepath.Join(root, ".host")
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.host", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the host's root: %w", err)
	}
	return os.Remove("/.host")
}

// lookUp finds the command inside the root. A path that an image would have, but this root has not, means the mapped
// program if the base name says so (/usr/local/bin/lb-daemon is /lb-daemon here).
func lookUp(spec Spec) (string, error) {
	if len(spec.Argv) == 0 || spec.Argv[0] == "" {
		return "", errors.New("no command")
	}
	name := spec.Argv[0]
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		path := Path
		for _, e := range spec.Env {
			if value, ok := strings.CutPrefix(e, "PATH="); ok {
				path = value + ":/"
			}
		}
		for dir := range strings.SplitSeq(path, ":") {
			candidates = append(candidates, filepath.Join("/", dir, name))
		}
	}
	if spec.Program != "" && filepath.Base(name) == filepath.Base(spec.Program) {
		candidates = append(candidates, "/"+filepath.Base(spec.Program))
	}
	for _, c := range candidates {
		if st, err := os.Stat(c); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return c, nil
		}
	}
	return "", fmt.Errorf("command %q: not found", name)
}
