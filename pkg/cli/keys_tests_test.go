package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A testSource is the text of the functions of a test package, and the names that each of them has in it.
type testSource struct {
	text  map[string]string
	names map[string][]string
}

// testsBelow returns the source of the tests below a directory by their names, each with that of the functions of its
// package that it calls.
func testsBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	packages := map[string]testSource{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		in, ok := packages[filepath.Dir(path)]
		if !ok {
			in = testSource{text: map[string]string{}, names: map[string][]string{}}
			packages[filepath.Dir(path)] = in
		}
		return in.read(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range packages {
		for name := range p.text {
			if strings.HasPrefix(name, "Test") {
				out[name] += p.whole(name, map[string]bool{})
			}
		}
	}
	return out
}

// read adds the functions of a file.
func (s testSource) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil {
			continue
		}
		name, names := f.Name.Name, map[string]bool{}
		s.text[name] = string(text[set.Position(f.Pos()).Offset:set.Position(f.End()).Offset])
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				names[id.Name] = true
			}
			return true
		})
		s.names[name] = slices.Sorted(maps.Keys(names))
	}
	return nil
}

// whole returns the text of a function and of those that it names, and so on.
func (s testSource) whole(name string, had map[string]bool) string {
	text, ok := s.text[name]
	if !ok || had[name] {
		return ""
	}
	had[name] = true
	for _, n := range s.names[name] {
		text += "\n" + s.whole(n, had)
	}
	return text
}

// uses reports whether a text has a key: "key: value" in quotes, or the key in quotes.
func uses(text, key string) bool {
	return regexp.MustCompile("[\"`]" + regexp.QuoteMeta(key) + `(: |")`).MatchString(text)
}
