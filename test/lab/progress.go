package lab

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// progressPrefix marks the lines of the supervisor's log that are for whoever waits in `lab up`.
const progressPrefix = "step: "

// tail copies the marked lines that a growing file has got since the last look.
type tail struct {
	path, prefix string
	out          io.Writer
	offset       int64
}

func (t *tail) copy() {
	f, err := os.Open(t.path)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return
	}
	whole := bytes.LastIndexByte(data, '\n') + 1 // a line that is still being written waits
	t.offset += int64(whole)
	for line := range bytes.Lines(data[:whole]) {
		if rest, ok := bytes.CutPrefix(line, []byte(t.prefix)); ok {
			_, _ = t.out.Write(rest)
		}
	}
}

// steps says what is done, with the time since the last step.
type steps struct {
	out   io.Writer
	begun time.Time
	last  time.Time
}

func newSteps(out io.Writer) *steps {
	now := time.Now()
	return &steps{out: out, begun: now, last: now}
}

func (s *steps) done(what string) {
	now := time.Now()
	fmt.Fprintf(s.out, "%s%-42s %6.1f s\n", progressPrefix, what, now.Sub(s.last).Seconds())
	s.last = now
}
