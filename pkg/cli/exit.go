package cli

import (
	"context"
	"errors"
	"fmt"
)

// The exit statuses of every command, whatever its output format; `kubectl lb help exit-codes` shows them.
const (
	// ExitOK: done, or all is well.
	ExitOK = 0
	// ExitError: it could not be done, such as no connection, no permission or no such object.
	ExitError = 1
	// ExitUsage: the command line is wrong; nothing was tried.
	ExitUsage = 2
	// ExitFindings: something is wrong with the objects looked at, or with how they are served.
	ExitFindings = 3
	// ExitTimeout: --timeout passed before what --wait waits for happened.
	ExitTimeout = 4
	// ExitInterrupted: Ctrl-C.
	ExitInterrupted = 130
)

// exitCodes documents the exit statuses.
func exitCodes() []struct {
	Code    int
	Name    string
	Meaning string
} {
	return []struct {
		Code    int
		Name    string
		Meaning string
	}{
		{ExitOK, "ok", "done, or all is well"},
		{ExitError, "error", "it could not be done: no connection, no permission, no such object, an unreadable file"},
		{ExitUsage, "usage", "the command line is wrong; nothing was tried"},
		{ExitFindings, "findings", "something is wrong with the objects, or with how they are served"},
		{ExitTimeout, "timeout", "--timeout passed before what --wait waits for happened"},
		{ExitInterrupted, "interrupted", "interrupted by Ctrl-C"},
	}
}

// exitError is an error that asks for an exit status other than [ExitError].
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usagef is a mistake on the command line.
func usagef(format string, args ...any) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf(format, args...)}
}

// errFindings ends a command that has already shown what is wrong.
var errFindings = errors.New("findings")

// exitCode returns the exit status that an error of a command stands for.
func exitCode(ctx context.Context, err error) int {
	var e *exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, errFindings):
		return ExitFindings
	case ctx.Err() != nil:
		return ExitInterrupted
	}
	return ExitError
}
