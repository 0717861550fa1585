package certs

import (
	"fmt"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// ProblemError says why material cannot be used, without a word of what is in it.
type ProblemError struct {
	Code lb.Code
	// Text continues a sentence that begins with whose material it is, and says what to do.
	Text string
}

// Error implements error.
func (p *ProblemError) Error() string { return p.Text }

func problemf(code lb.Code, format string, args ...any) *ProblemError {
	return &ProblemError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// NotFound says that an object is not there.
func NotFound() *ProblemError {
	return problemf(lb.CodeSecretNotFound, "does not exist; create it or correct the name")
}

// WrongType says that a Secret has another type than [TypeTLS].
func WrongType(have string) *ProblemError {
	return problemf(lb.CodeSecretType, "is of type %.80q, not %s; delete it and make it with kubectl create secret tls",
		have, TypeTLS)
}

// Unreadable says that the API server does not show an object, for a reason such as "Forbidden".
func Unreadable(reason string) *ProblemError {
	return problemf(lb.CodeSecretNotFound, "cannot be read now (%.80q); see whether lb-controller may", reason)
}
