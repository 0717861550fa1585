package render_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

func TestNewFiles(t *testing.T) {
	given := []render.File{{Path: "b/c"}, {Path: "a", Data: []byte("x")}, {Path: "b.d"}}
	files, err := render.NewFiles(given...)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	if got := strings.Join(paths, " "); got != "a b.d b/c" {
		t.Errorf("order is %s", got)
	}
	if given[0].Path != "b/c" {
		t.Error("the caller's slice was sorted")
	}
	if data, ok := files.Get("a"); string(data) != "x" || !ok {
		t.Errorf("a holds %q, %v", data, ok)
	}
	if _, ok := files.Get("b"); ok {
		t.Error("there is no b")
	}
}

func TestNewFilesRefuses(t *testing.T) {
	for _, path := range []string{"", ".", "/a", "../a", "a/../b", "a//b", "a/", "./a"} {
		if _, err := render.NewFiles(render.File{Path: path}); err == nil {
			t.Errorf("path %q is accepted", path)
		}
	}
	if _, err := render.NewFiles(render.File{Path: "a"}, render.File{Path: "b"}, render.File{Path: "a"}); err == nil {
		t.Error("a path is accepted twice")
	}
}

// TestHash wants every difference to make another hash, also a byte that moves between path and contents.
func TestHash(t *testing.T) {
	seen := make(map[string]int)
	for i, given := range [][]render.File{
		{},
		{{Path: "a"}},
		{{Path: "a", Data: []byte("b")}},
		{{Path: "ab"}},
		{{Path: "a"}, {Path: "b"}},
		{{Path: "a", Mode: 0o600}},
		{{Path: "a", Data: []byte("1 b 644 0\n")}},
		{{Path: "a", Data: []byte("x")}, {Path: "b", Data: []byte("y")}},
		{{Path: "a", Data: []byte("y")}, {Path: "b", Data: []byte("x")}},
	} {
		files, err := render.NewFiles(given...)
		if err != nil {
			t.Fatal(err)
		}
		h := files.Hash()
		if j, ok := seen[h]; ok || len(h) != 16 {
			t.Errorf("case %d has hash %s, as has %d", i, h, j)
		}
		seen[h] = i
	}
	plain, _ := render.NewFiles(render.File{Path: "a"})
	spelt, _ := render.NewFiles(render.File{Path: "a", Mode: render.DefaultMode})
	if plain.Hash() != spelt.Hash() {
		t.Error("the default mode makes a difference when it is spelt out")
	}
}

func TestPerm(t *testing.T) {
	for mode, want := range map[fs.FileMode]fs.FileMode{0: 0o644, 0o600: 0o600, fs.ModeDir | 0o700: 0o700} {
		if got := (render.File{Mode: mode}).Perm(); got != want {
			t.Errorf("%v: got %v, want %v", mode, got, want)
		}
	}
}

func TestText(t *testing.T) {
	var text render.Text
	text.Line("a", "b")
	text.Block("c d", func() {
		text.Block("e", func() { text.Line("f") })
		text.Line()
	})
	const want = "a b\nc d {\n    e {\n        f\n    }\n\n}\n"
	if got := string(text.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"/", "/run/kubectl-lb", "/usr/lib/x86_64/ngx+_1.so"} {
		if err := render.CheckPath("file", p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{
		"", "run", "/run/", "/run/../x", "/a b", "/a;", "/a\n", `/a"`, "/a*", "/é", "/a{", "/a$b", "/a#",
	} {
		if err := render.CheckPath("file", p); err == nil || !strings.HasPrefix(err.Error(), "file ") {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, s := range []string{"eth0", "eth0.100", "br-ex", "www-data", "a_b", "fifteen-letters"} {
		if err := render.CheckName("name", s, 15); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "sixteen-letters-", "a b", "-a", ".a", "a\n", "é", "a;", "@a", "a/b"} {
		if err := render.CheckName("name", s, 15); err == nil || !strings.HasPrefix(err.Error(), "name ") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
