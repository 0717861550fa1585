package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// checkTimeout bounds a check; nginx takes 2 s for 5,000 load balancers.
const checkTimeout = 30 * time.Second

// RefusedError says that a program would not take a generation.
type RefusedError struct {
	// Program is "nginx" or "keepalived".
	Program string
	// File is the file at fault, relative to the generation; empty when the program named none.
	File string
	// Words are the program's own, in one line.
	Words string
}

// Error implements error.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s refused it: %s", e.Program, e.Words) }

// check runs a program that only reads a generation. A non-zero exit is a refusal.
func check(ctx context.Context, program, dir string, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+os.TempDir())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("check of %s: %w", program, context.Cause(ctx))
	case errors.As(err, &exit):
		return &RefusedError{Program: program, File: fileAtFault(dir, out.String()), Words: words(out.String())}
	default:
		return fmt.Errorf("check of %s: %w", program, err)
	}
}

// nginxFile finds the place in a message such as "unknown directive "x" in /gen/1/http/a_b.conf:12".
var nginxFile = regexp.MustCompile(` in (/\S+):\d+`)

// fileAtFault returns the file that the program's words name, relative to the generation.
func fileAtFault(dir, output string) string {
	for _, m := range nginxFile.FindAllStringSubmatch(output, -1) {
		if rel, err := filepath.Rel(dir, m[1]); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return ""
}

// maxWords bounds what a program can write into a status.
const maxWords = 400

// words makes one line of a program's output: the lines that tell a fault, else all.
func words(output string) string {
	var faults, all []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		all = append(all, line)
		if strings.Contains(line, "[emerg]") || strings.Contains(line, "[crit]") || strings.Contains(line, "(Line ") {
			faults = append(faults, line)
		}
	}
	if len(faults) == 0 {
		faults = all
	}
	text := strings.ToValidUTF8(strings.Join(faults, "; "), "?")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxWords {
		text = string(runes[:maxWords]) + "…"
	}
	return text
}

// poll calls probe until it returns nil or the context is done, whose cause is then joined to the last failure. ended
// ends it too: nothing can be expected of a dead program.
func poll(ctx context.Context, every time.Duration, ended <-chan struct{}, probe func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := probe(ctx)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) {
			return err
		}
		select {
		case <-ended:
			return fmt.Errorf("the process ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
