package nginx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// directive is a directive of nginx's configuration language: its words, and what its block holds.
type directive struct {
	words []string
	block []directive
}

// parse reads a configuration as ngx_conf_read_token does, for the tests to see what nginx would see.
func parse(text string) ([]directive, error) {
	ds, rest, err := parseBlock(text, false)
	if err == nil && rest != "" {
		err = fmt.Errorf("unexpected %q", rest)
	}
	return ds, err
}

// parseBlock reads directives up to the end, or up to "}" when inner.
func parseBlock(text string, inner bool) ([]directive, string, error) {
	var ds []directive
	var words []string
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			if inner || len(words) > 0 {
				return nil, "", fmt.Errorf("unexpected end after %q", words)
			}
			return ds, "", nil
		}
		switch text[0] {
		case '#':
			_, text, _ = strings.Cut(text, "\n")
		case ';':
			if len(words) == 0 {
				return nil, "", fmt.Errorf(`unexpected ";"`)
			}
			ds, words, text = append(ds, directive{words: words}), nil, text[1:]
		case '{':
			if len(words) == 0 {
				return nil, "", fmt.Errorf(`unexpected "{"`)
			}
			block, rest, err := parseBlock(text[1:], true)
			if err != nil {
				return nil, "", err
			}
			ds, words, text = append(ds, directive{words, block}), nil, rest
		case '}':
			if !inner || len(words) > 0 {
				return nil, "", fmt.Errorf(`unexpected "}" after %q`, words)
			}
			return ds, text[1:], nil
		default:
			word, rest, err := parseWord(text)
			if err != nil {
				return nil, "", err
			}
			words, text = append(words, word), rest
		}
	}
}

// parseWord reads one word, quoted or not.
func parseWord(text string) (string, string, error) {
	quoted := text[0] == '"' || text[0] == '\''
	var word strings.Builder
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteString(unescape(text[i]))
		case quoted && c == text[0]:
			if rest := text[i+1:]; rest != "" && strings.ContainsRune(" \t\r\n;{)", rune(rest[0])) {
				return word.String(), rest, nil
			}
			return "", "", fmt.Errorf("a quoted word goes on: %q", text)
		case !quoted && strings.ContainsRune(" \t\r\n;{", rune(c)):
			return word.String(), text[i:], nil
		default:
			word.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("a word does not end: %q", text)
}

// unescape returns what a backslash and c stand for.
func unescape(c byte) string {
	switch c {
	case '"', '\'', '\\':
		return string(c)
	case 't':
		return "\t"
	case 'r':
		return "\r"
	case 'n':
		return "\n"
	}
	return `\` + string(c)
}

func TestParse(t *testing.T) {
	got, err := parse("a b \"c;{}#\\\"\\\\\\n\\x\" d{e 'f g';} # h;\ni \"\";")
	if err != nil {
		t.Fatal(err)
	}
	want := []directive{
		{[]string{"a", "b", "c;{}#\"\\\n\\x", "d"}, []directive{{words: []string{"e", "f g"}}}},
		{words: []string{"i", ""}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(directive{})); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"a", "a {", "}", ";", "{}", "a {b}", `a "b"c;`, `a "b`} {
		if got, err := parse(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
