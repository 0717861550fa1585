package render

import (
	"fmt"
	"path"
	"strings"
)

// CheckPath returns an error unless p is an absolute, clean path of characters that no configuration language gives a
// meaning to: letters, digits and "/._+-". What names the path is said in what, such as "run directory".
func CheckPath(what, p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p {
		return fmt.Errorf("%s %q is not an absolute, clean path", what, p)
	}
	if i := strings.IndexFunc(p, func(r rune) bool { return !isPlain(r) && !strings.ContainsRune("/._+-", r) }); i >= 0 {
		return fmt.Errorf("%s %q holds a character other than letters, digits and /._+-", what, p)
	}
	return nil
}

// CheckName returns an error unless s is at most limit letters, digits and "._-" and starts with a letter or digit, as
// the names of users and network interfaces do.
func CheckName(what, s string, limit int) error {
	plain := strings.IndexFunc(s, func(r rune) bool { return !isPlain(r) && !strings.ContainsRune("._-", r) }) < 0
	if s == "" || len(s) > limit || !plain || !isPlain(rune(s[0])) {
		return fmt.Errorf("%s %q is not 1 to %d letters, digits and ._-", what, s, limit)
	}
	return nil
}

// isPlain reports whether r is an ASCII letter or digit.
func isPlain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
