package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Ctrl-C at the question ends the program, although nobody has answered.
func TestInterruptedQuestion(t *testing.T) {
	in, _ := io.Pipe()
	var errOut bytes.Buffer
	p := &program{
		IOStreams: genericiooptions.IOStreams{In: in, ErrOut: &errOut}, asks: func(io.Reader) bool { return true },
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var c confirming
	if err := c.confirm(ctx, p); !errors.Is(err, context.Canceled) || errOut.String() != "Go on? [y/N] \n" {
		t.Errorf("%v, %q", err, errOut.String())
	}
}
