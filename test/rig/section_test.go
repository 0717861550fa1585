package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSections: each writer replaces its own section only, whatever stands around.
func TestSections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "figures.md")
	write := func(name, body string) {
		t.Helper()
		if err := WriteSection(path, name, body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Section(path, "a"); err == nil {
		t.Error("a section of no file")
	}
	write("a", "one\n")
	if err := os.WriteFile(path, []byte("# Title\n\nIntroduction.\n\n"+read(t, path)+"\nOutro.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("b", "two\nlines")
	write("a", "three\n")
	want := "# Title\n\nIntroduction.\n\n<!-- begin a -->\nthree\n<!-- end a -->\n\nOutro.\n\n" +
		"<!-- begin b -->\ntwo\nlines\n<!-- end b -->\n"
	if got := read(t, path); got != want {
		t.Errorf("file:\n%s\nwant:\n%s", got, want)
	}
	for name, want := range map[string]string{"a": "three\n", "b": "two\nlines\n", "c": ""} {
		if got, err := Section(path, name); err != nil || got != want {
			t.Errorf("section %s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestSectionWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.md")
	const text = "<!-- begin a -->\none\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteSection(path, "a", "two"); err == nil || !strings.Contains(err.Error(), "no end") {
		t.Errorf("write: %v", err)
	}
	if _, err := Section(path, "a"); err == nil {
		t.Error("read: no error")
	}
	if got := read(t, path); got != text {
		t.Errorf("the file was changed to %q", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
