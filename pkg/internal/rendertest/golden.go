package rendertest

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// UpdateFlag registers the flag -update, which makes [Golden] write what it was given.
func UpdateFlag() *bool { return flag.Bool("update", false, "write the golden files") }

// Golden compares files with those of a directory, name by name and byte by byte.
func Golden(t *testing.T, dir string, files render.Files, update bool) {
	t.Helper()
	if update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		Write(t, dir, files)
	}
	got := make(map[string]string)
	for _, f := range files {
		got[f.Path] = string(f.Data)
	}
	if diff := cmp.Diff(read(t, dir), got); diff != "" {
		t.Errorf("%s differs (-golden +got), run with -update if it should:\n%s", dir, diff)
	}
}

// Write writes files below a directory.
func Write(tb testing.TB, dir string, files render.Files) {
	tb.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, f.Perm()); err != nil {
			tb.Fatal(err)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
