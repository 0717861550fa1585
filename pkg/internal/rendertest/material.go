package rendertest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// materialPath finds the files that nginx reads when it is configured: those whose path has no variable.
var materialPath = regexp.MustCompile(`/([a-z0-9.-]+\.(pem|key))"`)

// WithMaterial makes the files of a directory that a configuration names, in a directory of the test's own, and returns
// the configuration with the latter in place of the former. Every bundle is the same.
func WithMaterial(tb testing.TB, files render.Files, dir string, bundle []byte) render.Files {
	tb.Helper()
	own := tb.TempDir()
	out := slices.Clone(files)
	for i, f := range files {
		for _, m := range materialPath.FindAllSubmatch(f.Data, -1) {
			data := bundle
			if string(m[2]) == "key" {
				data = bytes.Repeat([]byte("k"), 80)
			}
			if err := os.WriteFile(filepath.Join(own, string(m[1])), data, 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		out[i].Data = bytes.ReplaceAll(f.Data, []byte(dir), []byte(own))
	}
	return out
}
