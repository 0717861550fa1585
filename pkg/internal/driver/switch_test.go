package driver

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWeights(t *testing.T) {
	w := Weights{Dir: filepath.Join(t.TempDir(), "weight")}
	if have, err := w.Load(); err != nil || len(have) > 0 {
		t.Fatalf("an empty directory: %v, %v", have, err)
	}
	for group, withheld := range map[int]bool{0: true, 7: false, 11: true} {
		if err := w.Set(group, withheld); err != nil {
			t.Fatal(err)
		}
	}
	for _, stray := range []string{"07", "x", "-1x"} {
		if err := os.WriteFile(filepath.Join(w.Dir, stray), []byte("-127\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := Weights{Dir: w.Dir} // as a daemon that comes back
	have, err := again.Load()
	if want := map[int]bool{0: true, 7: false, 11: true}; err != nil || !maps.Equal(have, want) {
		t.Errorf("%v, %v; want %v", have, err, want)
	}
	if err := again.Set(0, false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"0": "0   \n", "7": "0   \n", "11": "-127\n"} {
		if data, err := os.ReadFile(filepath.Join(w.Dir, name)); err != nil || string(data) != want {
			t.Errorf("%s says %q, %v; want %q", name, data, err, want)
		}
	}
	missing := Weights{Dir: "/proc/no/such"}
	if _, err := missing.Load(); err == nil {
		t.Error("a directory that cannot be made was made")
	}
	if err := missing.Set(1, true); err == nil {
		t.Error("a file that cannot be made was made")
	}
}

// TestWriteSwitchIsOneWrite: the file keeps its identity, which keepalived may watch, and its size, so that nobody ever
// reads a part of it; what an older daemon wrote is replaced as a whole.
func TestWriteSwitchIsOneWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "switch")
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"0", "-127", "1"} {
		if err := writeSwitch(path, word); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(data)) != word || len(data) != switchWidth {
			t.Errorf("%q, %v; want %q in %d bytes", data, err, word, switchWidth)
		}
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("another file, %v", err)
	}
}
