package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/apiclock"
)

var update = flag.Bool("update", false, "write the golden files")

// result is what a run of the program left behind.
type result struct {
	code        int
	out, errOut string
}

// call runs the program.
type call struct {
	args  []string
	env   map[string]string
	stdin string
	now   time.Time
	// name is the program's own; "kubectl-lb" when empty.
	name string
	// terminal says that stdin is one.
	terminal bool
	// screen takes stdout where the test looks at it while the program runs.
	screen *screen
	// listens says that the program goes by the API server's clock; else all clocks are the same to it.
	listens bool
}

// screen is a writer that can be read at the same time.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (c call) run(ctx context.Context) result {
	var out, errOut bytes.Buffer
	p := &program{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(c.stdin), Out: &out, ErrOut: &errOut},
		env: func(name string) (string, bool) {
			v, ok := c.env[name]
			return v, ok
		},
		now:  func() time.Time { return c.now },
		asks: func(io.Reader) bool { return c.terminal },
	}
	if c.screen != nil {
		p.Out = c.screen
	}
	if c.now.IsZero() {
		p.now = time.Now
	}
	if c.listens {
		p.clock = apiclock.New(p.now)
	}
	name := c.name
	if name == "" {
		name = "/usr/local/bin/kubectl-lb"
	}
	code := p.run(ctx, append([]string{name}, c.args...))
	return result{code: code, out: out.String(), errOut: errOut.String()}
}

// call runs the program against the API server.
func (s *server) call(t *testing.T, c call) result {
	t.Helper()
	c.args = append(c.args, "--kubeconfig", s.kubeconfig)
	return c.run(t.Context())
}

// expect compares a result with a golden file, which holds the arguments, the exit status and both streams. It also
// checks the laws that hold for every output that is not a terminal.
func (r result) expect(t *testing.T, name string, args []string) {
	t.Helper()
	r.expectIn(t, "testdata", name, args)
}

// expectIn is expect for tests that have left their directory.
func (r result) expectIn(t *testing.T, dir, name string, args []string) {
	t.Helper()
	if strings.ContainsRune(r.out+r.errOut, 0x1b) {
		t.Errorf("an escape byte in a pipe:\n%q\n%q", r.out, r.errOut)
	}
	for line := range strings.SplitSeq(r.out, "\n") {
		if strings.HasSuffix(line, " ") {
			t.Errorf("blanks at the end of line %q", line)
		}
	}
	// What delete has deleted stays deleted, whatever it then waits for in vain.
	failed := r.code == ExitError || r.code == ExitUsage || r.code == ExitTimeout && args[0] != "delete"
	if failed && r.out != "" {
		t.Errorf("exit status %d with something on stdout: %q", r.code, r.out)
	}
	text := "$ kubectl lb " + strings.Join(args, " ") + "\n" + scrub(r.out)
	if r.errOut != "" {
		text += "--- stderr\n" + scrub(r.errOut)
	}
	text += fmt.Sprintf("--- exit %d\n", r.code)
	golden(t, filepath.Join(dir, name+".golden"), text)
}

// golden compares text with a file.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}

// scrub replaces what differs between two runs.
func scrub(s string) string {
	for _, r := range []struct{ pattern, with string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UID"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"},
		{`resourceVersion: "\d+"`, `resourceVersion: "N"`},
		{`/tmp/[A-Za-z0-9/_.-]*/(\d{3}/)?`, "DIR/"},
		{`go1\.\d+(\.\d+)?`, "GO"},
		{`(linux|darwin|windows)/(amd64|arm64)`, "PLATFORM"},
		{`devel-[0-9a-f]{12}|v0\.0\.0-\d{14}-[0-9a-f]{12}(\+dirty)?`, "VERSION"},
		{`--cache-dir string    Default cache directory \(default .*\)`, "--cache-dir string    Default cache directory"},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.with)
	}
	return s
}
