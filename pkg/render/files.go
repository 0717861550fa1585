package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// DefaultMode is the mode of a file that holds no secret.
const DefaultMode fs.FileMode = 0o644

// hashDigits are 64 bits: enough to tell apart all generations that a node will ever see, short enough to read aloud.
const hashDigits = 16

// File is one rendered file.
type File struct {
	// Path is relative to the directory that the files are written to, with "/" between its parts.
	Path string
	// Mode is the file's permissions; zero means [DefaultMode].
	Mode fs.FileMode
	Data []byte
}

// Perm returns the permissions that the file is to be written with.
func (f File) Perm() fs.FileMode {
	if f.Mode == 0 {
		return DefaultMode
	}
	return f.Mode.Perm()
}

// Files are rendered files, sorted by path, each path once.
type Files []File

// NewFiles returns the files in their order. It fails when a path occurs twice, or would leave the directory that the
// files are written to.
func NewFiles(files ...File) (Files, error) {
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for i, f := range sorted {
		if f.Path == "." || !fs.ValidPath(f.Path) {
			return nil, fmt.Errorf("file path %q is not a clean relative path", f.Path)
		}
		if i > 0 && sorted[i-1].Path == f.Path {
			return nil, fmt.Errorf("file %q is rendered twice", f.Path)
		}
	}
	return sorted, nil
}

// Get returns the contents of the file of that path.
func (files Files) Get(path string) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(files, path, func(f File, p string) int { return strings.Compare(f.Path, p) })
	if !ok {
		return nil, false
	}
	return files[i].Data, true
}

// Hash names the files by what they are: 16 hexadecimal digits over the paths, permissions and contents.
func (files Files) Hash() string {
	h := sha256.New()
	for _, f := range files {
		// The lengths keep a byte from moving between path and contents unnoticed.
		fmt.Fprintf(h, "%d %s %o %d\n", len(f.Path), f.Path, f.Perm(), len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))[:hashDigits]
}
