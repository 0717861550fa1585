package printer

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"tea":              "tea",
		"Tee für Zwei 茶":   "Tee für Zwei 茶",
		"\x1b[31mred":      `\x1b[31mred`,
		"two\nlines\r\tx":  `two\nlines\r\tx`,
		"\u009b31m\u202eX": `\u009b31m\u202eX`,
		"zero\u200bwidth":  `zero\u200bwidth`,
		"sep\u2028arator":  `sep\u2028arator`,
		"\xff\xfe":         `\xff\xfe`,
		"\x7f":             `\x7f`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := EscapeLines("a\x07\nb\r\n"), "a\\x07\nb\\r\n"; got != want {
		t.Errorf("EscapeLines: %q, want %q", got, want)
	}
}

// harmless reports whether text can steer no terminal.
func harmless(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Cf)
	})
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "x", "\x1b]0;title\x07", "\u009b", "\xe2\x80", "\U000e0001", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !harmless(got) {
			t.Errorf("Escape(%q) = %q", s, got)
		}
		if Escape(got) != got {
			t.Errorf("Escape(%q) is not escaped: %q", s, got)
		}
	})
}

// Whatever is in the cells, each row is one line, columns are aligned, and no line ends in blanks.
func FuzzTable(f *testing.F) {
	f.Add("tea", "10.0.0.1", "  indented")
	f.Add("\x1b[1m", "a\nb", "茶茶")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var out bytes.Buffer
		columns := []Column{{Name: "ONE"}, {Name: "TWO"}, {Name: "THREE"}}
		if err := Table(&out, columns, [][]Cell{Text(a, b, c), Text(c, a, b)}, Options{}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("%d lines for 2 rows and a header:\n%q", len(lines), out.String())
		}
		for _, line := range lines {
			if !harmless(line) || strings.HasSuffix(line, " ") {
				t.Errorf("line %q", line)
			}
		}
	})
}

func TestTable(t *testing.T) {
	columns := []Column{{Name: "NAME"}, {Name: "STATE"}, {Name: "DETAIL", Wide: true}}
	rows := [][]Cell{
		{{Text: "tea"}, {Text: "Healthy", Color: Good}, {Text: "x"}},
		{{Text: "a-longer-name"}, {Text: "", Color: Bad}, {Text: "y\x1b"}},
		{{Text: "└──茶"}, {Text: "Down", Color: Bad}, {Text: ""}},
	}
	for _, c := range []struct {
		name    string
		options Options
		want    string
	}{
		{"plain", Options{}, "NAME            STATE\ntea             Healthy\na-longer-name\n└──茶           Down\n"},
		{"no headers", Options{NoHeaders: true}, "tea             Healthy\na-longer-name\n└──茶           Down\n"},
		{"wide", Options{Wide: true}, "NAME            STATE     DETAIL\ntea             Healthy   x\n" +
			"a-longer-name             y\\x1b\n└──茶           Down\n"},
		{"colour", Options{Color: true, NoHeaders: true},
			"tea             \x1b[32mHealthy\x1b[0m\na-longer-name\n└──茶           \x1b[31mDown\x1b[0m\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Table(&out, columns, rows, c.options); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTree(t *testing.T) {
	tree := NewTree("root", Cell{Text: "r"})
	branch := tree.Add("branch", Cell{Text: "b"})
	branch.Add("leaf", Cell{Text: "l"})
	tree.Add("last", Cell{Text: "e"}).Add("end", Cell{Text: "z"})
	var out bytes.Buffer
	if err := Table(&out, []Column{{Name: "NAME"}, {Name: "X"}}, tree.Rows(), Options{}); err != nil {
		t.Fatal(err)
	}
	want := "NAME         X\nroot         r\n├──branch    b\n│  └──leaf   l\n└──last      e\n   └──end    z\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestUseColor(t *testing.T) {
	for mode, want := range map[string]bool{"auto": false, "": false, "always": true, "never": false} {
		if got, err := UseColor(mode, &bytes.Buffer{}); err != nil || got != want {
			t.Errorf("%q in a pipe: %v, %v", mode, got, err)
		}
	}
	if _, err := UseColor("sometimes", nil); err == nil {
		t.Error("no error for a mode that does not exist")
	}
}

// JSON in a terminal must not steer it either, and stays the same JSON.
func TestPrintJSONEscapes(t *testing.T) {
	flags := NewTableFlags()
	cmd := &cobra.Command{}
	flags.AddTo(cmd)
	if err := cmd.Flags().Set("output", "json"); err != nil {
		t.Fatal(err)
	}
	evil := "\u009b31m\u202e\x1b[0m\U000e0041"
	cm := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		Data: map[string]string{"x": evil}}
	var out bytes.Buffer
	if err := flags.Print(&out, cm); err != nil {
		t.Fatal(err)
	}
	if !harmless(strings.ReplaceAll(out.String(), "\n", "")) {
		t.Errorf("%q", out.String())
	}
	var back corev1.ConfigMap
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Data["x"] != evil {
		t.Errorf("%v: %q", err, back.Data["x"])
	}
}
