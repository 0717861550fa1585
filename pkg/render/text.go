package render

import (
	"bytes"
	"strings"
)

// indent is one level of nesting.
const indent = "    "

// Text builds a configuration of lines and blocks in braces. The zero value is empty.
type Text struct {
	buf   bytes.Buffer
	depth int
}

// Line adds a line of words with one space between them. The words are written as they are.
func (t *Text) Line(words ...string) {
	if len(words) > 0 {
		t.buf.WriteString(strings.Repeat(indent, t.depth))
	}
	for i, w := range words {
		if i > 0 {
			t.buf.WriteByte(' ')
		}
		t.buf.WriteString(w)
	}
	t.buf.WriteByte('\n')
}

// Block adds "head {", what body adds, one level deeper, and "}".
func (t *Text) Block(head string, body func()) {
	t.Line(head, "{")
	t.depth++
	body()
	t.depth--
	t.Line("}")
}

// Bytes returns what has been built.
func (t *Text) Bytes() []byte { return t.buf.Bytes() }
