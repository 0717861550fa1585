package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// program is one binary of the control plane and the package that it is built from.
type program struct{ name, pkg string }

func programs() []program {
	return []program{
		{"etcd", "go.etcd.io/etcd/server/v3"},
		{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
		{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{"kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"},
		{"kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"},
		{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
	}
}

// Ensure returns a folder that holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy and
// kubectl, and builds what is missing (8–15 min on two cores with cold caches, nothing when cached), with progress
// on out. KUBECTL_LB_CACHE moves the cache (default $XDG_CACHE_HOME/kubectl-lb, else ~/.cache/kubectl-lb); what is in
// KUBEBUILDER_ASSETS is used instead of built.
func Ensure(ctx context.Context, out io.Writer) (dir string, err error) {
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "test", "controlplane")
	version, sum, err := fingerprint(source)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets != "" {
		// Borrowed binaries must not end up among the built ones.
		mixed := sha256.Sum256([]byte(sum + "\x00" + assets))
		sum = fmt.Sprintf("%x-assets", mixed[:6])
	}
	dir = filepath.Join(cache, "controlplane", version+"-"+sum)
	missing := missingIn(dir)
	if len(missing) == 0 {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("control plane cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(dir, ".lock"), out)
	if err != nil {
		return "", err
	}
	defer unlock()
	if missing, err = borrow(dir, assets, missingIn(dir)); err != nil { // another run may have built meanwhile
		return "", err
	}
	if err := buildAll(ctx, buildJob{source: source, dir: dir, version: version, out: out}, missing); err != nil {
		return "", err
	}
	return dir, nil
}

// CacheDir is where kubectl-lb's tests keep what is costly to build.
func CacheDir() (string, error) {
	if dir := os.Getenv("KUBECTL_LB_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache folder (set KUBECTL_LB_CACHE): %w", err)
	}
	return filepath.Join(dir, "kubectl-lb"), nil
}

// RepoRoot finds the project's checkout: upwards from the working directory, else from the running program.
func RepoRoot() (string, error) {
	starts := []string{}
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if exe, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(exe))
	}
	for _, dir := range starts {
		for ; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "test", "controlplane", "go.mod")); err == nil {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("no kubectl-lb checkout above %s", strings.Join(starts, " or "))
}

// fingerprint returns the Kubernetes version of the module and a hash of everything that decides what is built.
func fingerprint(source string) (version, sum string, err error) {
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("control plane module: %w", err)
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return "", "", fmt.Errorf("control plane module: %w", err)
	}
	found := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)`).FindSubmatch(mod)
	if found == nil {
		return "", "", errors.New("control plane module: go.mod requires no k8s.io/kubernetes")
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%v", mod, sums, ldflags(string(found[1])))
	return string(found[1]), hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func ldflags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	const at = "-X k8s.io/component-base/version."
	return fmt.Sprintf("-s -w %sgitVersion=%s %sgitMajor=%s %sgitMinor=%s %sgitTreeState=clean",
		at, version, at, parts[0], at, parts[1], at)
}

func missingIn(dir string) []program {
	var missing []program
	for _, p := range programs() {
		if st, err := os.Stat(filepath.Join(dir, p.name)); err != nil || st.Mode()&0o111 == 0 {
			missing = append(missing, p)
		}
	}
	return missing
}

// borrow links what assets has and returns what is still missing.
func borrow(dir, assets string, missing []program) ([]program, error) {
	if assets == "" {
		return missing, nil
	}
	var rest []program
	for _, p := range missing {
		path, err := exec.LookPath(filepath.Join(assets, p.name))
		if err != nil {
			rest = append(rest, p)
			continue
		}
		link := filepath.Join(dir, p.name)
		_ = os.Remove(link) // a link that leads nowhere
		if err := os.Symlink(path, link); err != nil {
			return nil, fmt.Errorf("use %s of KUBEBUILDER_ASSETS: %w", p.name, err)
		}
	}
	return rest, nil
}

// lock waits for the other run that may be building.
func lock(ctx context.Context, path string, out io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("control plane cache: %w", err)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		return func() { f.Close() }, nil
	}
	fmt.Fprintln(out, "control plane: another run is building it, waiting")
	locked := make(chan error, 1)
	go func() {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if ctx.Err() != nil {
			f.Close() // nobody waits any more
		}
		locked <- err
	}()
	select {
	case err := <-locked:
		return func() { f.Close() }, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
