package keepalived

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is a version of keepalived.
type Version struct{ Major, Minor, Patch int }

// Oldest returns the oldest version that this package renders for, that of Debian 12.
func Oldest() Version { return Version{2, 2, 7} }

// ParseVersion reads the version from what "keepalived --version" prints, such as "Keepalived v2.2.7 (01/16,2022)", or
// from "2.2.7" itself.
func ParseVersion(s string) (Version, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	for word := range strings.FieldsSeq(line) {
		parts := strings.Split(strings.TrimPrefix(word, "v"), ".")
		if len(parts) != 3 {
			continue
		}
		var n [3]int
		var err error
		for i := range parts {
			if n[i], err = strconv.Atoi(parts[i]); err != nil || n[i] < 0 {
				return Version{}, fmt.Errorf("keepalived version %q is not of the form 2.2.7", word)
			}
		}
		return Version{n[0], n[1], n[2]}, nil
	}
	return Version{}, fmt.Errorf("no keepalived version in %q", line)
}

// String returns "2.2.7".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Compare orders versions.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor), cmp.Compare(v.Patch, o.Patch))
}
