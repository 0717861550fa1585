package driver

import (
	"fmt"
	"os"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
)

// switchWidth is the size of every file that keepalived watches. All that is ever written has this size and is written
// in one go and in place, so that nobody reads half of it, or the nothing between a truncation and a write, which
// keepalived takes for 0.
const switchWidth = 5

// writeSwitch makes the file say a word such as "-127". A file that is not there gets its name when it is complete.
func writeSwitch(path, word string) error {
	line := fmt.Appendf(nil, "%-*s\n", switchWidth-1, word)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if os.IsNotExist(err) {
		return atomicfile.Write(path, line, 0o644)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(line, 0)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
