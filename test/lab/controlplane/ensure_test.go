package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// newRepo makes a checkout whose control plane is six tiny programs, so that the real go build takes a second, and
// goes there. It returns the cache folder.
func newRepo(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	module := filepath.Join(root, "test", "controlplane")
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(module, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", `module x
go 1.26.0
require (
	k8s.io/kubernetes v1.99.3
	go.etcd.io/etcd/server/v3 v3.0.0
)
replace k8s.io/kubernetes => ./kubernetes
replace go.etcd.io/etcd/server/v3 => ./etcd
`)
	write("go.sum", "")
	write("kubernetes/go.mod", "module k8s.io/kubernetes\ngo 1.26.0\n")
	write("etcd/go.mod", "module go.etcd.io/etcd/server/v3\ngo 1.26.0\n")
	for _, p := range programs() {
		dir := strings.Replace(p.pkg, "k8s.io/kubernetes", "kubernetes", 1)
		dir = strings.Replace(dir, "go.etcd.io/etcd/server/v3", "etcd", 1)
		write(filepath.Join(dir, "main.go"), fmt.Sprintf("package main\nfunc main() { print(%q) }\n", p.name))
	}
	t.Chdir(root)
	cache := t.TempDir()
	t.Setenv("KUBECTL_LB_CACHE", cache)
	t.Setenv("KUBEBUILDER_ASSETS", "")
	return cache
}

// output runs one of the made programs.
func output(t *testing.T, dir, name string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(dir, name)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

func TestEnsureBuildsOnce(t *testing.T) {
	cache := newRepo(t)
	var wg sync.WaitGroup
	var outs [2]bytes.Buffer
	var dirs [2]string
	for i := range outs {
		wg.Go(func() {
			var err error
			if dirs[i], err = Ensure(t.Context(), &outs[i]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if dirs[0] != dirs[1] || !strings.HasPrefix(dirs[0], filepath.Join(cache, "controlplane", "v1.99.3-")) {
		t.Errorf("folders %q", dirs)
	}
	both := outs[0].String() + outs[1].String()
	if n := strings.Count(both, "[6/6] kubectl:"); n != 1 {
		t.Errorf("kubectl was built %d times:\n%s", n, both)
	}
	for _, p := range programs() {
		if got := output(t, dirs[0], p.name); got != p.name {
			t.Errorf("%s says %q", p.name, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dirs[0], ".build-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var again bytes.Buffer
	if _, err := Ensure(t.Context(), &again); err != nil || again.Len() > 0 {
		t.Errorf("with all there: %v, said %q", err, again.String())
	}
	if err := os.Remove(filepath.Join(dirs[0], "etcd")); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), &again); err != nil || !strings.Contains(again.String(), "[1/1] etcd:") {
		t.Errorf("with etcd missing: %v, said %q", err, again.String())
	}
}

func TestEnsureBorrows(t *testing.T) {
	newRepo(t)
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if err := os.WriteFile(filepath.Join(assets, name), []byte("#!/bin/sh\nprintf borrowed\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	built, err := Ensure(t.Context(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	dir, err := Ensure(t.Context(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if dir == built {
		t.Error("borrowed and built programs share a folder")
	}
	for name, want := range map[string]string{"etcd": "borrowed", "kubectl": "borrowed", "kube-proxy": "kube-proxy"} {
		if got := output(t, dir, name); got != want {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
}

func TestEnsureFails(t *testing.T) {
	newRepo(t)
	broken := filepath.Join("test", "controlplane", "kubernetes", "cmd", "kube-proxy", "main.go")
	if err := os.WriteFile(broken, []byte("package main\nfunc main() { undefined() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "kube-proxy") ||
		!strings.Contains(err.Error(), "undefined") {
		t.Errorf("error %v, want the program and the compiler's words", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Ensure(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFingerprintFollowsItsSource(t *testing.T) {
	newRepo(t)
	source := filepath.Join("test", "controlplane")
	version, sum, err := fingerprint(source)
	if err != nil || version != "v1.99.3" {
		t.Fatal(version, err)
	}
	if err := os.WriteFile(filepath.Join(source, "go.sum"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, other, err := fingerprint(source); err != nil || other == sum {
		t.Errorf("another go.sum, the same folder (%v)", err)
	}
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fingerprint(source); err == nil {
		t.Error("no Kubernetes in go.mod: no error")
	}
}

func TestLdflags(t *testing.T) {
	flags := ldflags("v1.37.2")
	for _, want := range []string{"gitVersion=v1.37.2 ", "gitMajor=1 ", "gitMinor=37 "} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q lacks %q", flags, want)
		}
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var said bytes.Buffer
	if _, err := lock(ctx, path, &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a held lock: %v", err)
	}
	if !strings.Contains(said.String(), "waiting") {
		t.Errorf("said %q", said.String())
	}
	unlock()
	again, err := lock(t.Context(), path, &said)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestRealRepoIsFound(t *testing.T) {
	root, err := RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	if version, _, err := fingerprint(filepath.Join(root, "test", "controlplane")); err != nil || version[:3] != "v1." {
		t.Errorf("%s, %v", version, err)
	}
}
