package keyring

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

func open(t *testing.T, dir string) *Ring {
	t.Helper()
	r, err := Open(dir, os.Getgid(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tempDir is a directory that nginx's workers could get at.
func tempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // it is a directory
		t.Fatal(err)
	}
	return dir
}

// text is a new certificate as it is handed out.
func text(t *testing.T) []byte {
	t.Helper()
	p := certtest.New(t, "a.b")
	pair, err := certs.ParseKeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.PEM
}

func tickets(letters string) (out [][]byte) {
	for _, c := range letters {
		out = append(out, bytes.Repeat([]byte{byte(c)}, ticketSize))
	}
	return out
}

func (r *Ring) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// balancer needs a certificate and a bundle.
func balancer(name, bundle, digest string) lb.LoadBalancer {
	l := lb.Listener{TLS: &lb.TLS{Certificates: []lb.Certificate{{Material: lb.Material{Name: name, Digest: "x"}}}}}
	if bundle != "" {
		l.TLS.Clients = &lb.ClientAuth{CA: lb.CABundle{Name: "ca", Material: lb.Material{Name: bundle, Digest: digest}}}
	}
	return lb.LoadBalancer{Listeners: []lb.Listener{l}}
}

func TestTakeAndPrune(t *testing.T) {
	dir := filepath.Join(tempDir(t), "tls")
	r := open(t, dir)
	ca := certtest.Authority(t, "ca")
	bundle, err := certs.ParseBundle(ca.Cert)
	if err != nil {
		t.Fatal(err)
	}
	needs := balancer("one", "ca", bundle.Digest)
	if got := r.Missing(needs); len(got) != 3 {
		t.Errorf("missing %q", got)
	}
	m := Material{Certificates: map[string][]byte{"one": text(t), "two": text(t)}, Bundles: map[string][]byte{"ca": ca.Cert},
		Tickets: tickets("abc")}
	if err := r.Take(m); err != nil {
		t.Fatal(err)
	}
	if got := r.Missing(needs); len(got) != 0 {
		t.Errorf("missing %q", got)
	}
	keys := r.Tickets()
	if len(keys) != 3 || r.read(t, keys[0])[0] != 'a' || r.read(t, keys[2])[0] != 'c' {
		t.Errorf("ticket keys %q", keys)
	}
	for name, mode := range map[string]os.FileMode{"one.0.pem": 0o440, "one.1.pem": 0o440, keys[1]: 0o400, ".": 0o710 | os.ModeDir} {
		if info, err := os.Stat(r.path(name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	// Another daemon, without a controller, finds everything.
	if again := open(t, dir); len(again.Missing(needs)) > 0 || cmp.Diff(keys, again.Tickets()) != "" {
		t.Errorf("a new daemon misses %q, has %q", again.Missing(needs), again.Tickets())
	} else if err := again.Prune(nil, nil); err != nil || len(again.Missing(needs)) > 0 {
		t.Errorf("it has thrown away what nobody has told it of: %v", err)
	}
	// What runs stays though the controller has it no more.
	if err := r.Take(Material{Tickets: tickets("dab")}); err != nil {
		t.Fatal(err)
	}
	if err := r.Prune([]lb.LoadBalancer{needs}, keys); err != nil {
		t.Fatal(err)
	}
	if r.Missing(needs) != nil && len(r.Missing(needs)) > 0 || len(r.Missing(balancer("two", "", ""))) != 2 {
		t.Errorf("pruned wrongly: %q", r.Missing(needs))
	}
	if err := r.Prune(nil, r.Tickets()); err != nil {
		t.Fatal(err)
	}
	names, err := r.names()
	if want := slices.Sorted(slices.Values(r.Tickets())); err != nil || cmp.Diff(want, names) != "" {
		t.Errorf("left: %q, %v", names, err)
	}
}

// A key is looked at once, not each time that all of them are handed out again; and again when it is another one.
func TestJudgedOnce(t *testing.T) {
	r := open(t, tempDir(t))
	one, two := text(t), text(t)
	take := func(certificates map[string][]byte) *judged {
		t.Helper()
		if err := r.Take(Material{Certificates: certificates}); err != nil {
			t.Fatal(err)
		}
		return r.judged.certificates["one"]
	}
	first := take(map[string][]byte{"one": one})
	if again := take(map[string][]byte{"one": bytes.Clone(one), "two": two}); again != first {
		t.Error("it was looked at again")
	}
	if next := take(map[string][]byte{"one": two}); next == first || !bytes.Equal(next.file.data, two) {
		t.Error("the next version was not looked at")
	}
	if take(nil) != nil || len(r.judged.certificates) > 0 {
		t.Error("what is gone is remembered")
	}
}

// An error about thousands is a short one.
func TestManyRefused(t *testing.T) {
	r := open(t, tempDir(t))
	m := Material{Certificates: map[string][]byte{}}
	for i := range 1000 {
		m.Certificates[fmt.Sprintf("c%03d", i)] = []byte("rubbish")
	}
	err := r.Take(m)
	if err == nil || len(err.Error()) > 2000 || !strings.Contains(err.Error(), "and 990 more") {
		t.Errorf("%v", err)
	}
}

// The workers of another image have a group of another number, and have to read what is there.
func TestAnotherGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	dir := tempDir(t)
	r := open(t, dir)
	if err := r.Take(Material{Certificates: map[string][]byte{"one": text(t)}, Tickets: tickets("abc")}); err != nil {
		t.Fatal(err)
	}
	const group = 4711
	again, err := Open(dir, group, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{"one.0.pem": group, "one.1.pem": group, again.Tickets()[0]: 0} {
		info, err := os.Stat(again.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Gid != want {
			t.Errorf("%s is of group %d, not %d", name, stat.Gid, want)
		}
	}
}

// A state directory that the workers may not pass through is told: nginx itself, which begins as root, would not notice.
func TestBarred(t *testing.T) {
	above := filepath.Join(tempDir(t), "state")
	if err := os.Mkdir(above, 0o750); err != nil {
		t.Fatal(err)
	}
	r, err := Open(filepath.Join(above, "tls"), os.Getgid(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := Material{Certificates: map[string][]byte{"one": text(t)}}
	if err := r.Take(m); err != nil {
		t.Errorf("the directory is their own group's, and yet: %v", err)
	}
	if err := os.Chmod(above, 0o700); err != nil { //nolint:gosec // it is a directory
		t.Fatal(err)
	}
	r = open(t, filepath.Join(above, "tls"))
	if err := r.Take(Material{}); err != nil {
		t.Errorf("nobody has to pass, and yet: %v", err)
	}
	if err := r.Take(m); err == nil || !strings.Contains(err.Error(), "may not pass through "+above+" ") {
		t.Errorf("%v", err)
	}
	if len(r.Missing(balancer("one", "", ""))) > 0 {
		t.Error("the certificate was not kept")
	}
}

// What cannot be served is refused with a word, and the last good version and all others stay.
func TestRefused(t *testing.T) {
	r := open(t, tempDir(t))
	good := text(t)
	if err := r.Take(Material{Certificates: map[string][]byte{"one": good}}); err != nil {
		t.Fatal(err)
	}
	err := r.Take(Material{Certificates: map[string][]byte{"one": []byte("rubbish"), "two": good},
		Bundles: map[string][]byte{"ca": good[:10]}, Tickets: [][]byte{[]byte("short")}})
	if err == nil || !strings.Contains(err.Error(), "certificate one has no certificate") ||
		!strings.Contains(err.Error(), "bundle ca has no") || strings.Contains(err.Error(), "rubbish") {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(r.read(t, "one.0.pem"), good) || !bytes.Equal(r.read(t, "two.1.pem"), good) || r.Tickets() != nil {
		t.Error("the good ones are not there")
	}
	for _, name := range []string{"../one", ".one", "a/b"} {
		if err := r.Take(Material{Certificates: map[string][]byte{name: good}}); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

// A file is never replaced in a second in which it is read, nor near its ends, and both are soon the new ones.
func TestReplace(t *testing.T) {
	for _, offset := range []int{0, 100, 250, 400, 749, 750, 999, 1000, 1300, 1999} {
		synctest.Test(t, func(t *testing.T) {
			r := open(t, tempDir(t))
			versions := [][]byte{text(t), text(t), text(t)}
			if err := r.Take(Material{Certificates: map[string][]byte{"one": versions[0]}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(offset) * time.Millisecond)
			ctx, cancel := context.WithCancel(t.Context())
			go r.Run(ctx)
			version := [nginx.Slots]int{}
			begun := time.Now()
			for i, next := range versions[1:] {
				if err := r.Take(Material{Certificates: map[string][]byte{"one": next}}); err != nil {
					t.Fatal(err)
				}
				for version != [nginx.Slots]int{i + 1, i + 1} && time.Since(begun) < time.Minute {
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
					for slot := range nginx.Slots {
						data := r.read(t, slotFile("one", slot))
						now := slices.IndexFunc(versions, func(v []byte) bool { return bytes.Equal(v, data) })
						if now != version[slot] && (untilIdle(slot, time.Now().Add(-10*time.Millisecond)) > 10*time.Millisecond) {
							t.Errorf("slot %d became %d at %s", slot, now, time.Now().Format("05.000"))
						}
						version[slot] = now
					}
				}
			}
			if d := time.Since(begun); d > 7*time.Second {
				t.Errorf("two versions took %s", d)
			}
			cancel()
			synctest.Wait()
			if names, _ := r.names(); len(names) != nginx.Slots {
				t.Errorf("left over: %q", names)
			}
		})
	}
}

// A stream of versions, one each two seconds, leaves no old one behind: whenever it comes, both files are soon as new as
// what was handed out two seconds ago.
func TestStream(t *testing.T) {
	versions := make([][]byte, 8)
	for i := range versions {
		versions[i] = text(t)
	}
	for _, offset := range []int{0, 100, 300, 500, 749, 750, 999, 1000, 1100, 1300, 1500, 1749, 1750, 1999} {
		synctest.Test(t, func(t *testing.T) {
			r := open(t, tempDir(t))
			if err := r.Take(Material{Certificates: map[string][]byte{"one": versions[0]}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(offset) * time.Millisecond)
			ctx, cancel := context.WithCancel(t.Context())
			go r.Run(ctx)
			begun := time.Now()
			for i, next := range versions[1:] {
				if err := r.Take(Material{Certificates: map[string][]byte{"one": next}}); err != nil {
					t.Fatal(err)
				}
				for time.Since(begun) < time.Duration(2*i+2)*time.Second {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
				}
				for slot := range nginx.Slots {
					data := r.read(t, slotFile("one", slot))
					if now := slices.IndexFunc(versions, func(v []byte) bool { return bytes.Equal(v, data) }); now < i+1 {
						t.Errorf("offset %d: two seconds after version %d slot %d has version %d", offset, i+1, slot, now)
					}
				}
			}
			cancel()
			synctest.Wait()
			if names, _ := r.names(); len(names) != nginx.Slots {
				t.Errorf("left over: %q", names)
			}
		})
	}
}

// A version that came while another one waited for its second takes that one's place in the same second.
func TestSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, tempDir(t))
		first, second, third := text(t), text(t), text(t)
		take := func(v []byte) {
			t.Helper()
			if err := r.Take(Material{Certificates: map[string][]byte{"one": v}}); err != nil {
				t.Fatal(err)
			}
		}
		take(first)
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		take(second)
		for bytes.Equal(r.read(t, "one.0.pem"), r.read(t, "one.1.pem")) {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		take(third)
		begun := time.Now()
		for bytes.Equal(r.read(t, "one.0.pem"), first) || bytes.Equal(r.read(t, "one.1.pem"), first) {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("the first version was shown for another %s", took)
		}
		cancel()
		synctest.Wait()
	})
}

// Who has to wait for the lock, for many certificates come just then, may find the second over.
func TestTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, tempDir(t))
		old, next := text(t), text(t)
		if err := r.Take(Material{Certificates: map[string][]byte{"one": old}}); err != nil {
			t.Fatal(err)
		}
		if err := r.Take(Material{Certificates: map[string][]byte{"one": next}}); err != nil {
			t.Fatal(err)
		}
		f := r.late["one"]
		for slot := range nginx.Slots {
			if err := awaitIdle(t.Context(), slot); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			tmp, err := r.stage(f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.rename(tmp, f, slot); got != tooLate || err != nil {
				t.Errorf("slot %d: %v, %v", slot, got, err)
			}
			if !bytes.Equal(r.read(t, slotFile("one", slot)), old) {
				t.Errorf("slot %d was replaced while it was read", slot)
			}
		}
	})
}

// A certificate that is gone is not brought back by a replacement that was under way.
func TestGoneWhileLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, tempDir(t))
		for range 2 {
			if err := r.Take(Material{Certificates: map[string][]byte{"one": text(t), "two": text(t)}}); err != nil {
				t.Fatal(err)
			}
		}
		// What is refused is not gone: its last good version is to become whole.
		if err := r.Take(Material{Certificates: map[string][]byte{"two": []byte("rubbish")}}); err == nil {
			t.Error("rubbish was taken")
		}
		if _, ok := r.late["two"]; !ok {
			t.Error("the last good version of what was refused is forgotten")
		}
		if err := r.Prune(nil, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		time.Sleep(5 * time.Second)
		cancel()
		synctest.Wait()
		if len(r.Missing(balancer("one", "", ""))) != nginx.Slots {
			t.Error("the files of a certificate that is gone are back")
		}
	})
}

func TestUntilIdle(t *testing.T) {
	second := time.Unix(1000, 0) // even, so slot 0 is read
	for ms := range 2000 {
		now := second.Add(time.Duration(ms) * time.Millisecond)
		for slot := range nginx.Slots {
			wait := untilIdle(slot, now)
			then := now.Add(wait)
			into := then.Sub(then.Truncate(time.Second))
			if wait < 0 || wait > 2*time.Second || nginx.Slot(then) == slot || into < margin || into > time.Second-margin {
				t.Fatalf("slot %d at %d ms: in %s", slot, ms, wait)
			}
		}
	}
}
