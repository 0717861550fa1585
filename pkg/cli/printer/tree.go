package printer

// Tree is a table whose first column is a tree.
type Tree struct {
	name     string
	cells    []Cell
	children []*Tree
}

// NewTree returns a tree of one line.
func NewTree(name string, cells ...Cell) *Tree { return &Tree{name: name, cells: cells} }

// Add adds a line below this one and returns it.
func (t *Tree) Add(name string, cells ...Cell) *Tree {
	child := NewTree(name, cells...)
	t.children = append(t.children, child)
	return child
}

// Rows returns the lines as rows of a table.
func (t *Tree) Rows() [][]Cell { return t.rows("", "") }

// rows draws the tree; first starts the tree's own line, rest the lines below it.
func (t *Tree) rows(first, rest string) [][]Cell {
	out := [][]Cell{append([]Cell{{Text: first + t.name}}, t.cells...)}
	for i, c := range t.children {
		if i == len(t.children)-1 {
			out = append(out, c.rows(rest+"└──", rest+"   ")...)
		} else {
			out = append(out, c.rows(rest+"├──", rest+"│  ")...)
		}
	}
	return out
}
