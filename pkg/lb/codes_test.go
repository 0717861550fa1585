package lb

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test -run TestDocument -update .

var update = flag.Bool("update", false, "write docs/findings.md anew")

// constants returns the codes that codes.go declares.
func constants(t *testing.T) []Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			if l, ok := v.(*ast.BasicLit); ok && strings.HasPrefix(spec.Names[0].Name, "Code") {
				s, err := strconv.Unquote(l.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, Code(s))
			}
		}
		return true
	})
	return codes
}

// Every code is documented, once, in order, in whole sentences.
func TestDescriptions(t *testing.T) {
	var documented []Code
	titles := map[string]Code{}
	form := regexp.MustCompile(`^LB0[1-9]\d{2}$`)
	for _, d := range Descriptions() {
		documented = append(documented, d.Code)
		if !form.MatchString(string(d.Code)) {
			t.Errorf("code %q", d.Code)
		}
		if d.Severity != SeverityError && d.Severity != SeverityWarning {
			t.Errorf("%s: severity %q", d.Code, d.Severity)
		}
		if other, twice := titles[d.Title]; twice || d.Title == "" {
			t.Errorf("%s: title %q, as %s", d.Code, d.Title, other)
		}
		titles[d.Title] = d.Code
		for _, s := range []string{d.Cause, d.Fix} {
			if !strings.HasSuffix(s, ".") || strings.ContainsAny(s, "|\n") {
				t.Errorf("%s: %q is no sentence for a table", d.Code, s)
			}
		}
	}
	declared := constants(t)
	if len(declared) < 20 {
		t.Errorf("only %d codes found; the test is blind", len(declared))
	}
	if d := cmp.Diff(declared, documented); d != "" {
		t.Errorf("declared and documented codes differ: %s", d)
	}
	if !slices.IsSorted(documented) || len(slices.Compact(slices.Clone(documented))) != len(documented) {
		t.Errorf("not in order, or one is there twice: %v", documented)
	}
}

func TestDescribe(t *testing.T) {
	for _, want := range Descriptions() {
		if got, ok := Describe(want.Code); !ok || got != want {
			t.Errorf("Describe(%s) = %v, %v", want.Code, got, ok)
		}
	}
	if d, ok := Describe("LB9999"); ok || d != (Description{}) {
		t.Errorf("an unknown code is %v", d)
	}
}

// TestDocument holds docs/findings.md to the table of codes.
func TestDocument(t *testing.T) {
	const path = "../../docs/findings.md"
	got := document()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not current (go generate ./pkg/lb writes it): %s", path, d)
	}
}

// document writes the documentation of the codes.
func document() string {
	var b strings.Builder
	b.WriteString(`<!-- Written by "go generate ./pkg/lb" from the table of codes in the code. -->
# Findings

What is wrong with an object is a finding: a number that never changes its meaning, the place, and a message that says
what to do. It stands in an Event, an error also in the ConfigMap's ` + "`status`" + `, a warning in its annotation
` + "`kubectl-lb.io/warnings`" + `, and both in what ` + "`kubectl lb validate`" + ` and ` + "`kubectl lb status`" + `
print. An error keeps the object from being served as written, and its last good version, if there is one, goes on
serving; a warning leaves it served. No finding of one object touches another one.
`)
	groups := []struct{ prefix, title string }{
		{"LB01", "The object's own data"}, {"LB02", "The Service it targets"}, {"LB03", "Its address"}, {"LB04",
			"The backend"}, {"LB05", "The certificates"}, {"LB06", "OpenStack"},
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s: %s\n\n| code | | what is wrong | why | what to do |\n|---|---|---|---|---|\n", g.prefix,
			g.title)
		for _, d := range Descriptions() {
			if strings.HasPrefix(string(d.Code), g.prefix) {
				fmt.Fprintf(&b, "| **%s** | %s | %s | %s | %s |\n", d.Code, d.Severity, d.Title, d.Cause, d.Fix)
			}
		}
	}
	return b.String()
}

// No code may be left out of the document because it starts a group of its own.
func TestDocumentIsComplete(t *testing.T) {
	for _, d := range Descriptions() {
		if n := strings.Count(document(), "**"+string(d.Code)+"**"); n != 1 {
			t.Errorf("%s is there %d times", d.Code, n)
		}
	}
}
