package generation

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

func files(t *testing.T, text string) render.Files {
	t.Helper()
	fs, err := render.NewFiles(
		render.File{Path: "main.conf", Data: []byte(text)},
		render.File{Path: "http/a_b.conf", Data: []byte("x"), Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestStore(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "nginx")}
	if s.Current() != "" || s.Running() != "" {
		t.Errorf("an empty store has %q and %q", s.Current(), s.Running())
	}
	dir, err := s.Write("one", files(t, "1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Switch("one"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetRunning("one"); err != nil {
		t.Fatal(err)
	}
	if s.Current() != "one" || s.Running() != "one" {
		t.Errorf("current %q, running %q", s.Current(), s.Running())
	}
	data, err := os.ReadFile(filepath.Join(s.CurrentPath(), "main.conf"))
	if err != nil || string(data) != "1" {
		t.Errorf("through current: %q, %v", data, err)
	}
	info, err := os.Stat(filepath.Join(dir, "http", "a_b.conf"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.Switch("two"); err == nil {
		t.Error("switched to a generation that is not there")
	}
	if s.Current() != "one" {
		t.Errorf("a failed switch made %q current", s.Current())
	}
}

func TestWriteMendsWhatIsDamaged(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"cut":     func(dir string) error { return os.Truncate(filepath.Join(dir, "main.conf"), 0) },
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "http", "a_b.conf")) },
		"more":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "http", "evil.conf"), nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := Store{Dir: t.TempDir()}
			dir, err := s.Write("one", files(t, "1"))
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write("one", files(t, "1")); err != nil {
				t.Fatal(err)
			}
			if !same(dir, files(t, "1")) {
				t.Error("still damaged")
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir, "gen", ".new-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestNamesStayInside(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	for _, id := range []string{"", ".", "..", "a/b", "../x", ".hidden"} {
		if _, err := s.Write(id, nil); err == nil {
			t.Errorf("wrote generation %q", id)
		}
		if err := s.Switch(id); err == nil {
			t.Errorf("switched to generation %q", id)
		}
	}
}

func TestPrune(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	if err := s.Prune(); err != nil {
		t.Errorf("an empty store: %v", err)
	}
	ids := []string{"a", "b", "c", "d", "e", "f"}
	for i, id := range ids {
		dir, err := s.Write(id, files(t, id))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Switch("a"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetRunning("b"); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(s.Dir, "gen"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if want := []string{"a", "b", "d", "e", "f"}; !slices.Equal(names, want) {
		t.Errorf("left %v, want %v", names, want)
	}
}
