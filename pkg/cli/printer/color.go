package printer

import (
	"fmt"
	"io"

	"k8s.io/cli-runtime/pkg/printers"
)

// Color is the colour of a cell. It never stands alone: the cell's words say the same.
type Color int

// The colours, by what they mean.
const (
	Plain Color = iota
	Good
	Doubtful
	Bad
	Faint
)

// paint wraps safe text into the escape codes of a colour.
func (c Color) paint(s string) string {
	codes := map[Color]string{Good: "32", Doubtful: "33", Bad: "31", Faint: "2"}
	code, ok := codes[c]
	if !ok || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// ColorModes are the values of --color.
func ColorModes() []string { return []string{"auto", "always", "never"} }

// UseColor decides whether to write colours to w. Mode "auto" means: to a terminal that is not dumb, unless NO_COLOR
// is set (https://no-color.org).
func UseColor(mode string, w io.Writer) (bool, error) {
	switch mode {
	case "auto", "":
		return printers.AllowsColorOutput(w), nil
	case "always":
		return true, nil
	case "never":
		return false, nil
	}
	return false, fmt.Errorf("--color must be auto, always or never, not %q", mode)
}
