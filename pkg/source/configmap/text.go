package configmap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxValue is the length, in bytes, beyond which a value is refused unread, and maxLines that of a value of several
// lines. No key needs a tenth of it.
const (
	maxValue = 4 << 10
	maxLines = 64 << 10
)

// maxShown is how many characters of a user's text a message shows.
const maxShown = 64

// field returns the place of a key in the form of lb.Finding.Field.
func field(key string) string {
	if len(key) > maxShown || !isPlain(key) && len(validation.IsConfigMapKey(key)) > 0 {
		key = quote(key)
	}
	return "data[" + key + "]"
}

// isPlain reports whether a key is surely one, as all of the contract are: it is asked too often for an expression.
func isPlain(key string) bool {
	for i, c := range []byte(key) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return key != ""
}

// quote returns a user's text for a message: in quotes, shortened, with everything unprintable escaped.
func quote(s string) string {
	shown := []rune(s[:min(len(s), maxShown*utf8.UTFMax)])
	if len(shown) <= maxShown {
		return strconv.Quote(s)
	}
	return strconv.Quote(string(shown[:maxShown])) + "…"
}

// MaxValue returns the length, in bytes, beyond which the value of a key is refused. Whoever keeps no more of a value
// than that and a byte changes nothing of what [Parse] says.
func MaxValue(key string) int {
	c := known()
	if i, ok := c.index[key]; ok && c.keys[i].Lines {
		return maxLines
	}
	return maxValue
}

// unsafe says in a message why a value is refused unread; it is empty for one that is fine. A value of lines may be
// longer, and may have line breaks and tabs.
func unsafe(s string, lines bool) string {
	most := maxValue
	if lines {
		most = maxLines
	}
	if len(s) > most {
		return fmt.Sprintf("the value is longer than the %d bytes that are allowed", most)
	}
	if !utf8.ValidString(s) {
		return fmt.Sprintf("the value %s is not valid UTF-8", quote(s))
	}
	i := strings.IndexFunc(s, func(c rune) bool {
		return !strconv.IsPrint(c) && !(lines && (c == '\n' || c == '\r' || c == '\t'))
	})
	if i < 0 {
		return ""
	}
	c, _ := utf8.DecodeRuneInString(s[i:])
	return fmt.Sprintf("the value %s holds the invisible or control character %U at byte %d; remove it", quote(s), c, i)
}

// nearest returns the candidate that a misspelt word was probably meant to be; empty when none is near.
func nearest(word string, candidates []string) string {
	best, distance, bare := "", 0, plain(word)
	for _, c := range candidates {
		d := editDistance(bare, plain(c))
		if d > max(1, len(c)/3) {
			continue
		}
		if best == "" || d < distance {
			best, distance = c, d
		}
	}
	if best != "" {
		return best
	}
	// "service" is a part of a key, "hostname" has one as a part.
	i := slices.IndexFunc(candidates, func(c string) bool {
		c = plain(c)
		return len(bare) > 2 && strings.Contains(c, bare) || strings.Contains(bare, c)
	})
	if i < 0 || len(word) > maxShown {
		return ""
	}
	return candidates[i]
}

// plain leaves out what people get wrong without noticing: case and separators.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("-_.", c) {
			return -1
		}
		return unicode.ToLower(c)
	}, s)
}

// editDistance returns how many characters must be added, removed, replaced or swapped with the next one to make one
// word of the other (optimal string alignment). Words too long to be a misspelt key are infinitely far.
func editDistance(a, b string) int {
	if len(a) > maxShown || len(b) > maxShown {
		return maxShown
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
