package echo

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// picture makes rounds 5 ms apart: a dot is an answer, an x none, a blank a round that the prober missed.
func picture(text string) []tick {
	var ticks []tick
	for i, c := range text {
		t := tick{at: time.Duration(i) * 5 * time.Millisecond, answered: make([]uint64, 2)}
		switch c {
		case ' ':
			continue
		case '.':
			t.answered[1] = 1 // target 64
		}
		ticks = append(ticks, t)
	}
	return ticks
}

func TestOutages(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(n int) time.Time { return begun.Add(time.Duration(n) * 5 * time.Millisecond) }
	for text, want := range map[string][]Outage{
		"":           nil,
		"....":       nil,
		"..x..":      {{From: at(1), To: at(3), Lost: 1}},
		"..xxx..x.":  {{From: at(1), To: at(5), Lost: 3}, {From: at(6), To: at(8), Lost: 1}},
		"xx..":       {{From: at(0), To: at(2), Lost: 2, Open: true}},
		"..xx":       {{From: at(1), To: at(3), Lost: 2, Open: true}},
		"xxx":        {{From: at(0), To: at(2), Lost: 3, Open: true}},
		"..x    x..": {{From: at(1), To: at(8), Lost: 2}},
	} {
		if diff := cmp.Diff(want, outages(begun, picture(text), 64)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestStall(t *testing.T) {
	p := &Prober{opts: Options{Interval: 5 * time.Millisecond}, begun: time.Now(), ticks: picture("..  ..    .")}
	end := p.begun.Add(time.Second)
	if got := p.Stall(p.begun, end); got != 20*time.Millisecond {
		t.Errorf("stall %s, want 20 ms: four rounds were missed", got)
	}
	stalls := p.Stalls(15*time.Millisecond, p.begun, end)
	if len(stalls) != 1 || stalls[0].Length() != 25*time.Millisecond {
		t.Errorf("stalls %v, want the one of 25 ms between two rounds", stalls)
	}
	if got := p.Stall(p.begun, p.begun.Add(27*time.Millisecond)); got != 10*time.Millisecond {
		t.Errorf("stall of the first half %s, want 10 ms", got)
	}
}

// TestProber asks a real kernel, in both families: an address that goes away and comes back, and one that stays.
func TestProber(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	space := fmt.Sprintf("klb-echo%d", os.Getpid())
	if err := netspace.Create(space); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netspace.Delete(space); err != nil {
			t.Error(err)
		}
	})
	inside := func(argv ...string) {
		t.Helper()
		cmd := netspace.Command(netspace.Path(space), argv...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Fatal(err)
	}
	inside("sh", "-c", "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range")
	inside("ip", "link", "set", "lo", "up")
	inside("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
	gone, stays, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	p, err := Start(Options{Namespace: netspace.Path(space), Targets: []netip.Addr{gone, stays, six}})
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string, ok func(at time.Time) bool) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for !ok(time.Now().Add(-10 * time.Millisecond)) {
			if time.Now().After(deadline) {
				t.Fatal("never: " + what)
			}
			time.Sleep(time.Millisecond) // polling
		}
	}
	await("all answer", func(at time.Time) bool {
		return p.Answering(gone, at) && p.Answering(stays, at) && p.Answering(six, at)
	})
	inside("ip", "address", "del", "192.0.2.1/32", "dev", "lo")
	removed := time.Now()
	await("it is gone", func(at time.Time) bool { return !p.Answering(gone, at) })
	await("for a while", func(at time.Time) bool { return at.Sub(removed) > 100*time.Millisecond })
	inside("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
	await("it is back", func(at time.Time) bool { return p.Answering(gone, at) })
	p.Stop()
	from, to := removed.Add(-50*time.Millisecond), time.Now()
	if o := p.Longest(gone, from, to); o.Length() < 100*time.Millisecond || o.Open {
		t.Errorf("outage %+v, want one of at least 100 ms that ended", o)
	}
	if o := p.Longest(netip.MustParseAddr("192.0.2.9"), from, to); o.Length() != 0 {
		t.Errorf("an address that was never asked: %+v", o)
	}
}
