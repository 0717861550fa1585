package driver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/generation"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

// Keepalived drives one keepalived.
type Keepalived struct {
	// Binary is keepalived's absolute path.
	Binary string
	// RunDir holds its PID files, its log and its dumps.
	RunDir string
	Store  generation.Store
	// DumpSignal asks it for a dump; see [DumpSignal]. Without one, only the kernel's addresses are looked at.
	DumpSignal syscall.Signal

	proc atomic.Pointer[supervise.Process]
}

// Announcement is what keepalived is to announce, and what it is to leave alone.
type Announcement struct {
	Interface string
	Instances []Instance
	// Owned are all addresses that may be ours; those in no instance must be gone from the interface.
	Owned []netip.Addr
}

// Instance is the addresses of one VRRP instance.
type Instance struct {
	Anchor netip.Addr
	// VIPs are sorted.
	VIPs []netip.Addr
}

// The names of keepalived's files in the run directory.
const (
	keepalivedLog    = "keepalived.log"
	keepalivedRecord = "keepalived.process"
	keepalivedPID    = "keepalived.pid"
	keepalivedVRRP   = "keepalived-vrrp.pid"
	keepalivedTmp    = "keepalived-tmp"
)

// LogPath is the file that keepalived's output goes to.
func (k *Keepalived) LogPath() string { return filepath.Join(k.RunDir, keepalivedLog) }

func (k *Keepalived) record() string { return filepath.Join(k.RunDir, keepalivedRecord) }

// spec leaves --log-detail out: it logs every gratuitous ARP, and many addresses flap (measured).
func (k *Keepalived) spec() supervise.Spec {
	return supervise.Spec{
		Path: k.Binary,
		Args: []string{
			"--dont-fork", "--no-syslog", "--log-console", "--vrrp",
			"--use-file", filepath.Join(k.Store.CurrentPath(), keepalived.ConfigName),
			"--pid", filepath.Join(k.RunDir, keepalivedPID),
			"--vrrp_pid", filepath.Join(k.RunDir, keepalivedVRRP),
		},
		// A busy machine must not delay adverts: at normal priority four busy loops on two cores cost hundreds of spurious
		// elections in 40 s (docs/design/failover.md). A negative nice value is real-time where the daemon may.
		Nice:   -20,
		Env:    []string{"TMPDIR=" + filepath.Join(k.RunDir, keepalivedTmp)},
		Log:    k.LogPath(),
		Record: k.record(),
	}
}

// Process is the running keepalived, nil when none has been started. It may be called at any time.
func (k *Keepalived) Process() *supervise.Process { return k.proc.Load() }

// Alive reports whether keepalived runs. It may be called at any time.
func (k *Keepalived) Alive() bool {
	p := k.proc.Load()
	return p != nil && p.Alive()
}

// Adopt takes over the keepalived that a former daemon has left running, if there is one.
func (k *Keepalived) Adopt() bool {
	p, err := supervise.Adopt(k.spec())
	if err != nil {
		return false
	}
	k.proc.Store(p)
	return true
}

// Worker returns the child that speaks VRRP, if it runs. It may be called at any time.
func (k *Keepalived) Worker() (*supervise.Process, bool) {
	p := k.proc.Load()
	data, err := os.ReadFile(filepath.Join(k.RunDir, keepalivedVRRP))
	if p == nil || err != nil {
		return nil, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, false
	}
	w, err := p.Child(pid)
	return w, err == nil
}

// KillRemains kills what outlived keepalived. It may be called at any time after its end.
func (k *Keepalived) KillRemains() { supervise.SignalOrphans(k.record(), syscall.SIGKILL) }

// Check has keepalived read a generation of the store.
func (k *Keepalived) Check(ctx context.Context, id string) error {
	dir := k.Store.Path(id)
	return check(ctx, "keepalived", dir, k.Binary, "-t", "-f", filepath.Join(dir, keepalived.ConfigName))
}

// Run makes keepalived run a generation of the store: it returns nil once the announcement is seen to be in force. The
// generation is current afterwards whatever happened; on an error the caller runs another.
func (k *Keepalived) Run(ctx context.Context, id string, want Announcement) error {
	if err := k.Store.Switch(id); err != nil {
		return err
	}
	if k.Alive() {
		if err := k.awaitHandler(ctx, syscall.SIGHUP); err != nil {
			return fmt.Errorf("reload keepalived: %w", err)
		}
		if err := k.proc.Load().Signal(syscall.SIGHUP); err != nil {
			return fmt.Errorf("reload keepalived: %w", err)
		}
	} else if err := k.start(ctx, want); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	begun := time.Now()
	// A dump keeps keepalived from its adverts for a moment: the first one waits for the reload, and each that comes too
	// early doubles the wait for the next.
	asked, spacing := begun, dumpSpacing
	err := poll(ctx, verifyEvery, k.proc.Load().Done(), func(ctx context.Context) error {
		left, err := k.inForce(want)
		if err != nil {
			return err
		}
		if len(left) > 0 && time.Since(begun) < leftoverAfter {
			return fmt.Errorf("%s are still on %s", ifaddr.String(left), want.Interface)
		}
		if time.Since(asked) < spacing {
			return errors.New("it has not read the generation yet")
		}
		asked, spacing = time.Now(), 2*spacing
		if err := k.taken(ctx, want); err != nil || len(left) == 0 {
			return err
		}
		// It no longer knows them: the leavings of a VRRP process that was killed.
		_, err = ifaddr.Remove(want.Interface, left)
		return err
	})
	if err != nil {
		return fmt.Errorf("keepalived does not run generation %s: %w", id, err)
	}
	return k.Store.SetRunning(id)
}

// Renumbers reports whether an instance has another VRID in a generation of the store than in the current one. Then a
// reload won't do: keepalived 2.2.7 tells its instances by VRID when it reloads, so one inherits another's state and
// addresses, and may stay master without any of its own for good.
func (k *Keepalived) Renumbers(id string) bool {
	numbers := func(dir string) map[string]int {
		config, err := os.ReadFile(filepath.Join(dir, keepalived.ConfigName))
		if err != nil {
			return nil // Whoever runs it says why.
		}
		return keepalived.Numbers(config)
	}
	next := numbers(k.Store.Path(id))
	for name, old := range numbers(k.Store.CurrentPath()) {
		if n, ok := next[name]; ok && n != old {
			return true
		}
	}
	return false
}

// leftoverAfter is how long keepalived may take to remove an address that it is no longer to announce.
const leftoverAfter = 500 * time.Millisecond

// start clears what a killed keepalived leaves: its VRRP process, its PID files, and the addresses, which a new one
// would neither announce nor remove.
func (k *Keepalived) start(ctx context.Context, want Announcement) error {
	supervise.EndOrphans(ctx, k.record(), time.Second)
	if _, err := ifaddr.Remove(want.Interface, want.Owned); err != nil {
		return fmt.Errorf("start keepalived: %w", err)
	}
	for _, name := range []string{keepalivedPID, keepalivedVRRP} {
		if err := os.Remove(filepath.Join(k.RunDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("start keepalived: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(k.RunDir, keepalivedTmp), 0o700); err != nil {
		return fmt.Errorf("start keepalived: %w", err)
	}
	p, err := supervise.Start(k.spec())
	if err != nil {
		return err
	}
	k.proc.Store(p)
	return nil
}

// awaitHandler waits until a signal would not end keepalived, as it does in the first moments of its life.
func (k *Keepalived) awaitHandler(ctx context.Context, sig syscall.Signal) error {
	p := k.proc.Load()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return poll(ctx, verifyEvery, p.Done(), func(context.Context) error {
		if !p.Handles(sig) {
			return fmt.Errorf("it does not handle signal %d yet", sig)
		}
		return nil
	})
}

// inForce compares the kernel's addresses with the announcement. A node that has an instance's anchor has to have all
// of its virtual IPs. It returns those of our addresses that are in no instance and on the interface all the same.
func (k *Keepalived) inForce(want Announcement) (left []netip.Addr, err error) {
	have, err := ifaddr.List(want.Interface)
	if err != nil {
		return nil, err
	}
	has := func(a netip.Addr) bool {
		_, ok := slices.BinarySearchFunc(have, a, netip.Addr.Compare)
		return ok
	}
	announced := make(map[netip.Addr]bool)
	for _, in := range want.Instances {
		announced[in.Anchor] = true
		for _, vip := range in.VIPs {
			announced[vip] = true
			if has(in.Anchor) && !has(vip) {
				return nil, fmt.Errorf("%s is not on %s", vip, want.Interface)
			}
		}
	}
	for _, a := range want.Owned {
		if !announced[a] && has(a) {
			left = append(left, a)
		}
	}
	return left, nil
}

// Stop ends keepalived, which resigns and removes its addresses, and clears away what it may have left of ours.
func (k *Keepalived) Stop(ctx context.Context, name string, owned []netip.Addr) error {
	if p := k.proc.Load(); p != nil && p.Signal(syscall.SIGTERM) == nil && !ended(ctx, p, 3*time.Second) {
		if err := p.Signal(syscall.SIGKILL); err == nil {
			ended(ctx, p, time.Second)
		}
	}
	supervise.EndOrphans(ctx, k.record(), time.Second)
	if name == "" {
		return nil
	}
	_, err := ifaddr.Remove(name, owned)
	return err
}

// AwaitGone waits until none of the addresses is on the interface any more.
func AwaitGone(ctx context.Context, name string, addrs []netip.Addr, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return poll(ctx, verifyEvery, nil, func(context.Context) error {
		have, err := ifaddr.List(name)
		if err != nil {
			return err
		}
		for _, a := range have {
			if slices.Contains(addrs, a) {
				return fmt.Errorf("%s is still on %s", a, name)
			}
		}
		return nil
	})
}
