package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/generation"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/logtail"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// Nginx drives one nginx.
type Nginx struct {
	// Binary is nginx's absolute path.
	Binary string
	// RunDir holds its socket, its PID file and its log.
	RunDir string
	Store  generation.Store

	proc atomic.Pointer[supervise.Process]
	// outgoing are the workers that served before the last reload.
	outgoing []int
}

// The names of nginx's files in the run directory, beside those of the renderer.
const (
	nginxLog    = "nginx.log"
	nginxRecord = "nginx.process"
	nginxConf   = "nginx.conf"
)

// LogPath is the file that nginx's output goes to.
func (n *Nginx) LogPath() string { return filepath.Join(n.RunDir, nginxLog) }

func (n *Nginx) record() string { return filepath.Join(n.RunDir, nginxRecord) }

func (n *Nginx) socket() string { return filepath.Join(n.RunDir, nginx.SocketName) }

func (n *Nginx) socketOf(id string) string {
	return filepath.Join(n.RunDir, nginx.GenerationSocketName(id))
}

func (n *Nginx) spec() supervise.Spec {
	return supervise.Spec{
		Path:   n.Binary,
		Args:   []string{"-c", filepath.Join(n.Store.CurrentPath(), nginxConf), "-e", "stderr"},
		Log:    n.LogPath(),
		Record: n.record(),
	}
}

// Process is the running nginx, nil when none has been started. It may be called at any time.
func (n *Nginx) Process() *supervise.Process { return n.proc.Load() }

// Alive reports whether nginx runs. It may be called at any time.
func (n *Nginx) Alive() bool {
	p := n.proc.Load()
	return p != nil && p.Alive()
}

// Adopt takes over the nginx that a former daemon has left running, if there is one.
func (n *Nginx) Adopt() bool {
	p, err := supervise.Adopt(n.spec())
	if err != nil {
		return false
	}
	n.proc.Store(p)
	return true
}

// Check has nginx read a generation of the store. It binds every listen address for a moment.
func (n *Nginx) Check(ctx context.Context, id string) error {
	dir := n.Store.Path(id)
	return check(ctx, "nginx", dir, n.Binary, "-t", "-q", "-c", filepath.Join(dir, nginxConf), "-e", "stderr")
}

// Run makes nginx run a generation of the store: it returns nil once workers of it answer. For a moment the workers of
// the generation before accept connections too: see [Nginx.Settle]. The generation is current
// afterwards whatever happened; on an error the caller runs another.
func (n *Nginx) Run(ctx context.Context, id string) error {
	if err := n.Store.Switch(id); err != nil {
		return err
	}
	offset := logtail.Size(n.LogPath())
	if n.Alive() {
		n.outgoing, _ = n.workers()
		// A reload that failed may have left it; nginx removes that of the generation that it leaves itself.
		if id != n.Store.Running() {
			if err := os.Remove(n.socketOf(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("reload nginx: %w", err)
			}
		}
		if err := n.proc.Load().Signal(syscall.SIGHUP); err != nil {
			return fmt.Errorf("reload nginx: %w", err)
		}
	} else if err := n.start(ctx); err != nil {
		return err
	}
	if err := n.verify(ctx, id, offset); err != nil {
		return fmt.Errorf("nginx does not serve generation %s: %w", id, err)
	}
	return n.Store.SetRunning(id)
}

// orphanGrace is how long the workers of a killed master may take to let go of their listening sockets.
const orphanGrace = time.Second

func (n *Nginx) start(ctx context.Context) error {
	n.retireOrphans(ctx)
	// nginx refuses to start over the sockets that a killed one has left.
	left, err := filepath.Glob(n.socketOf("*"))
	if err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	for _, socket := range append(left, n.socket()) {
		if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("start nginx: %w", err)
		}
	}
	p, err := supervise.Start(n.spec())
	if err != nil {
		return err
	}
	n.proc.Store(p)
	return nil
}

// retireOrphans makes the workers of a dead master close their listening sockets, or a new master could not have them.
// Their connections may go on.
func (n *Nginx) retireOrphans(ctx context.Context) {
	if supervise.SignalOrphans(n.record(), syscall.SIGQUIT) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, orphanGrace)
	defer cancel()
	// A worker closes all its listening sockets in one go, so that of the probe stands for them all.
	gone := poll(ctx, 2*time.Millisecond, nil, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", n.socket())
		if err != nil {
			return nil //nolint:nilerr // nobody listens, as hoped
		}
		_ = conn.Close()
		return errors.New("orphaned workers still listen")
	})
	if gone != nil {
		supervise.SignalOrphans(n.record(), syscall.SIGKILL)
		supervise.EndOrphans(context.WithoutCancel(ctx), n.record(), orphanGrace)
	}
}

// The verification of a generation. nginx needs 3 s to load 5,000 load balancers.
const (
	verifyEvery  = 5 * time.Millisecond
	verifyWithin = 15 * time.Second
)

func (n *Nginx) verify(ctx context.Context, id string, offset int64) error {
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	return poll(ctx, verifyEvery, n.proc.Load().Done(), func(ctx context.Context) error {
		have, err := askGeneration(ctx, n.socketOf(id))
		if err == nil && have == id {
			return nil
		}
		if fault := n.emergency(offset); fault != "" {
			return &RefusedError{Program: "nginx", Words: fault}
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("it answers generation %q", have)
	})
}

// emergencies are lines of nginx's own. Access logs are in the same file, and clients write parts of them: what they
// send is never at the beginning of a line.
var emergencies = regexp.MustCompile(`(?m)^(nginx:|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[emerg\] .*$`)

// emergency returns what nginx has logged about giving a configuration up, since its log had that size. The single
// failures to bind come first, and it tries for 2.5 s more before it gives up: they are reason enough.
func (n *Nginx) emergency(offset int64) string {
	data, err := logtail.ReadFrom(n.LogPath(), offset)
	if err != nil {
		return ""
	}
	return words(strings.Join(emergencies.FindAllString(string(data), -1), "\n"))
}

// answerWithin bounds one question to nginx.
const answerWithin = 250 * time.Millisecond

// Generation asks nginx which generation it serves. It may be called at any time.
func (n *Nginx) Generation(ctx context.Context) (string, error) {
	return askGeneration(ctx, n.socket())
}

// Keeps reports whether clients keep connections that are idle. nginx counts those as well whose first request is on
// its way, which is so for a moment: some must be there at each of several looks. It may be called at any time, and
// fails where nginx was told nothing of [nginx.Input.StubStatus].
func (n *Nginx) Keeps(ctx context.Context) (bool, error) {
	for look := range looks {
		if look > 0 {
			select {
			case <-ctx.Done():
				return false, ctx.Err()
			case <-time.After(betweenLooks):
			}
		}
		text, err := ask(ctx, n.socket(), nginx.WaitingPath)
		if err != nil {
			return false, err
		}
		count, err := strconv.Atoi(text)
		if err != nil {
			return false, fmt.Errorf("ask nginx: its answer %q is no number of connections", words(text))
		}
		if count == 0 {
			return false, nil
		}
	}
	return true, nil
}

// How often, and with what time between, nginx is asked for its idle connections.
const (
	looks        = 3
	betweenLooks = 3 * time.Millisecond
)

func askGeneration(ctx context.Context, socket string) (string, error) { return ask(ctx, socket, "/") }

// ask returns the body of an answer of the probe.
func ask(ctx context.Context, socket, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.0\r\n\r\n"); err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	head, body, ok := strings.Cut(string(answer), "\r\n\r\n")
	if !ok || !strings.Contains(strings.SplitN(head, "\r\n", 2)[0], " 200 ") {
		return "", fmt.Errorf("ask nginx: its answer %q is none that it was asked for", words(string(answer)))
	}
	return strings.TrimSpace(body), nil
}

// Stop lets connections finish for the grace, then ends nginx.
func (n *Nginx) Stop(ctx context.Context, grace time.Duration) {
	p := n.proc.Load()
	if p == nil {
		return
	}
	for _, step := range []struct {
		sig   syscall.Signal
		grace time.Duration
	}{{syscall.SIGQUIT, grace}, {syscall.SIGTERM, time.Second}, {syscall.SIGKILL, time.Second}} {
		if p.Signal(step.sig) != nil || ended(ctx, p, step.grace) {
			break
		}
	}
	supervise.SignalOrphans(n.record(), syscall.SIGKILL)
}

// ended waits for the end of a process and says whether it came.
func ended(ctx context.Context, p *supervise.Process, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.Done():
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
