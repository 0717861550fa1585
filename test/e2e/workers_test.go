package e2e

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// metric returns a metric of the daemon of a node, by its name with labels as Prometheus writes them.
func metric(t *testing.T, node, name string) (float64, error) {
	t.Helper()
	d, err := shared.Lab.Dialer(node)
	must(t, err)
	defer d.Close()
	c := &http.Client{Timeout: answerTime, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9445/metrics", nil)
	must(t, err)
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("node %s has no metric %s", node, name)
}

// TestOldWorkers: a long stream outlives a reload in a worker of its own, which the node's metrics tell of until the stream
// ends, and its memory.
func TestOldWorkers(t *testing.T) {
	echo(t)
	ip := serve(t, "long", "target-service-name: echo", "ports: 7:tcp/TCP")
	home := holder(t, ip)
	c, err := dialClient(t.Context(), "tcp", ip+":7")
	must(t, err)
	defer c.Close()
	said := func(text string) {
		t.Helper()
		must(t, c.SetDeadline(time.Now().Add(answerTime)))
		_, err := io.WriteString(c, text)
		must(t, err)
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
			t.Fatalf("the stream says %q, %v", buf, err)
		}
	}
	must(t, c.SetDeadline(time.Now().Add(answerTime)))
	for one := []byte{0}; one[0] != '\n'; { // the greeting
		_, err := c.Read(one)
		must(t, err)
	}
	said("before")
	const count, memory = "kubectl_lb_daemon_nginx_workers", "kubectl_lb_daemon_nginx_worker_memory_bytes"
	before, err := metric(t, home, count+`{state="shutting-down"}`)
	must(t, err)
	serve(t, "another", "target-service-name: echo", "ports: 80:http/HTTP") // a reload
	must(t, rig.Wait(t.Context(), 20*time.Second, "an old worker", func() (bool, string) {
		n, err := metric(t, home, count+`{state="shutting-down"}`)
		return err == nil && n > before, fmt.Sprintf("%g, and %g before, %v", n, before, err)
	}))
	said("after")
	for _, state := range []string{"serving", "shutting-down"} {
		if bytes, err := metric(t, home, memory+`{state="`+state+`"}`); err != nil || bytes < 100<<10 {
			t.Errorf("workers that are %s have %g bytes, %v", state, bytes, err)
		}
	}
	must(t, c.Close())
	must(t, rig.Wait(t.Context(), 20*time.Second, "the end of the old worker", func() (bool, string) {
		n, err := metric(t, home, count+`{state="shutting-down"}`)
		return err == nil && n <= before, fmt.Sprintf("%g, and %g before, %v", n, before, err)
	}))
}

// TestUnprivileged: what clients speak to is no process of root's, and what it cannot do without are the only keys that it
// can read.
func TestUnprivileged(t *testing.T) {
	apply(t, secretOf("private-cert", certtest.New(t, "tea.example.com")))
	serve(t, "private", "target-service-name: tea", "target-port: http", "protocol: HTTPS", "tls-secret-name: private-cert")
	for _, node := range shared.LBNodes() {
		processes, err := shared.Lab.Processes(node, lab.Nginx)
		must(t, err)
		workers := 0
		for _, p := range processes {
			if len(p.Args) == 0 || !strings.HasPrefix(p.Args[0], "nginx: worker") {
				continue
			}
			workers++
			if ownedByRoot(p.PID) {
				t.Errorf("%s: worker %d is root's", node, p.PID)
			}
		}
		keys := 0
		dir := filepath.Join(shared.Lab.Info().Dir, "nodes", node, "root/var/lib/kubectl-lb/tls")
		must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			keys++
			if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 || info.Mode().Perm()&0o027 != 0 {
				t.Errorf("%s: %s is %s", node, path, info.Mode())
			}
			return nil
		}))
		if workers == 0 || keys < 4 { // the directory, the certificate twice, a key of tickets
			t.Errorf("%s has %d workers and %d keys", node, workers, keys)
		}
	}
}

// ownedByRoot reports whether one of a process's user IDs is root's (proc_pid_status(5)).
func ownedByRoot(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), "\nUid:")
	ids, _, _ := strings.Cut(rest, "\n")
	for id := range strings.FieldsSeq(ids) {
		if id == "0" {
			return true
		}
	}
	return ids == ""
}
