package printer

import (
	"bytes"
	"io"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Column is a column of a table.
type Column struct {
	// Name is the header: upper case, no spaces.
	Name string
	// Wide columns appear only with -o wide.
	Wide bool
}

// Cell is a value in a table. Its text may come from anywhere; it is escaped when printed.
type Cell struct {
	Text  string
	Color Color
}

// Text makes cells without colour.
func Text(values ...string) []Cell {
	cells := make([]Cell, len(values))
	for i, v := range values {
		cells[i].Text = v
	}
	return cells
}

// Options say how a table is printed. The zero value is plain text with headers.
type Options struct {
	Wide, NoHeaders, Color bool
}

// Table prints rows in kubectl's form: three spaces between columns, no borders, nothing after the last word of a
// line. Each row has one cell for each column.
func Table(w io.Writer, columns []Column, rows [][]Cell, o Options) error {
	var shown []int
	var header []string
	for i, c := range columns {
		if o.Wide || !c.Wide {
			shown = append(shown, i)
			header = append(header, c.Name)
		}
	}
	t := newTable(&trimmer{w: w}, len(shown))
	if !o.NoHeaders {
		t.Header(header)
	}
	for _, row := range rows {
		line := make([]string, len(shown))
		for j, i := range shown {
			line[j] = Escape(row[i].Text)
			if o.Color {
				line[j] = row[i].Color.paint(line[j])
			}
		}
		if err := t.Append(line); err != nil {
			return err
		}
	}
	if o.NoHeaders && len(rows) == 0 {
		return nil
	}
	return t.Render()
}

func newTable(w io.Writer, columns int) *tablewriter.Table {
	padding := make([]tw.Padding, columns)
	for i := range padding {
		padding[i] = tw.Padding{Left: tw.Empty, Right: "   ", Overwrite: true}
	}
	padding[columns-1].Right = tw.Empty
	// Header and rows must have the same padding, or the columns drift apart.
	cell := tw.CellConfig{
		Alignment:  tw.CellAlignment{Global: tw.AlignLeft},
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Padding:    tw.CellPadding{Global: padding[0], PerColumn: padding},
	}
	return tablewriter.NewTable(w,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Symbols:  tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		// Trimming would eat the indentation of trees.
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
	)
}

// trimmer removes the blanks at the ends of lines: tablewriter pads the last column to its full width.
type trimmer struct{ w io.Writer }

func (t *trimmer) Write(p []byte) (int, error) {
	lines := bytes.SplitAfter(p, []byte("\n"))
	var out []byte
	for _, line := range lines {
		body, hasEnd := bytes.CutSuffix(line, []byte("\n"))
		if !hasEnd {
			out = append(out, body...)
			continue
		}
		out = append(append(out, bytes.TrimRight(body, " ")...), '\n')
	}
	if _, err := t.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
