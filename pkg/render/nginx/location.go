package nginx

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxPath keeps a path well below the 4096 bytes that a token may have.
const maxPath = 1024

// routePath returns the path of a route as nginx is to compare it. An exact one keeps its trailing slash.
func routePath(r lb.Route) (string, error) {
	path, err := cleanPath(r.Path)
	if err == nil && r.Exact && path != "/" && strings.HasSuffix(r.Path, "/") {
		path += "/"
	}
	return path, err
}

// cleanPath returns the prefix that nginx is to compare with the path of a request, which it decodes and normalizes
// first: no percent-encoding, no trailing slash but of "/" itself. It fails on a path that is malformed, and on one
// that no normalized request can have.
func cleanPath(p string) (string, error) {
	if p == "" {
		return "/", nil
	}
	if len(p) > maxPath {
		return "", errors.New("is longer than 1024 bytes")
	}
	if p[0] != '/' {
		return "", errors.New(`does not start with "/"`)
	}
	if strings.ContainsAny(p, "?#") {
		return "", errors.New(`holds "?" or "#", which end a path`)
	}
	d, err := url.PathUnescape(p)
	if err != nil {
		return "", errors.New(`holds a "%" that is not followed by two hexadecimal digits`)
	}
	if !utf8.ValidString(d) || strings.ContainsFunc(d, unicode.IsControl) {
		return "", errors.New("holds a control character or is not valid UTF-8")
	}
	d = strings.TrimSuffix(d, "/")
	for i, segment := range strings.Split(d, "/") {
		if i > 0 && segment == "" || segment == "." || segment == ".." {
			return "", errors.New(`holds an empty, "." or ".." segment`)
		}
	}
	if d == "" {
		return "/", nil
	}
	return d, nil
}
