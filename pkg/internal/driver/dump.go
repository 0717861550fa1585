package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dumpName is the file that keepalived writes its state to, in its TMPDIR.
const dumpName = "keepalived.json"

// dumpSpacing is the time before the first dump while a reload is awaited; one takes keepalived about 20 ms.
const dumpSpacing = 25 * time.Millisecond

// DumpSignal asks a keepalived which signal makes it write its state as JSON. It fails where keepalived was built
// without that.
func DumpSignal(ctx context.Context, binary string) (syscall.Signal, error) {
	out, err := exec.CommandContext(ctx, binary, "--signum=JSON").Output()
	if err != nil {
		return 0, fmt.Errorf("ask keepalived for its signal JSON: %w", err)
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(out)))
	if err != nil || n < 1 || n > 64 {
		return 0, fmt.Errorf("ask keepalived for its signal JSON: it said %q", bytes.TrimSpace(out))
	}
	return syscall.Signal(n), nil
}

// taken asks keepalived itself whether it has the announcement, which the kernel does not tell on a node that is no
// instance's master.
func (k *Keepalived) taken(ctx context.Context, want Announcement) error {
	if k.DumpSignal == 0 {
		return nil
	}
	have, err := k.dump(ctx)
	if err != nil {
		return err
	}
	if len(have) != len(want.Instances) {
		return fmt.Errorf("it runs %d instances, not %d", len(have), len(want.Instances))
	}
	for _, in := range want.Instances {
		vips, ok := have[in.Anchor]
		if !ok {
			return fmt.Errorf("it runs no instance with the anchor %s", in.Anchor)
		}
		if !slices.Equal(vips, in.VIPs) {
			return fmt.Errorf("the instance with the anchor %s has %d virtual IPs, not the %d wanted",
				in.Anchor, len(vips), len(in.VIPs))
		}
	}
	return nil
}

// dump returns keepalived's instances: their virtual IPs, sorted, by anchor.
func (k *Keepalived) dump(ctx context.Context) (map[netip.Addr][]netip.Addr, error) {
	p := k.proc.Load()
	if !p.Handles(k.DumpSignal) {
		return nil, errors.New("it is not up yet")
	}
	path := filepath.Join(k.RunDir, keepalivedTmp, dumpName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := p.Signal(k.DumpSignal); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var found map[netip.Addr][]netip.Addr
	err := poll(ctx, time.Millisecond, p.Done(), func(context.Context) error {
		data, err := os.ReadFile(path)
		if err == nil {
			// keepalived writes the file in place: half of it fails to parse and is read again.
			found, err = parseDump(data)
		}
		return err
	})
	return found, err
}

// parseDump reads what keepalived 2.2.7 and later write.
func parseDump(data []byte) (map[netip.Addr][]netip.Addr, error) {
	type instance struct {
		Data struct {
			VIPs  []string `json:"vips"`
			EVIPs []string `json:"evips"`
		} `json:"data"`
	}
	var instances []instance
	if err := json.Unmarshal(data, &instances); err != nil {
		// Version 2 of the format, which a configuration can choose, has them inside an object.
		var v2 struct {
			VRRP []instance `json:"vrrp"`
		}
		if json.Unmarshal(data, &v2) != nil {
			return nil, fmt.Errorf("keepalived's dump: %w", err)
		}
		instances = v2.VRRP
	}
	found := make(map[netip.Addr][]netip.Addr, len(instances))
	for _, in := range instances {
		if len(in.Data.VIPs) == 0 {
			return nil, errors.New("keepalived's dump has an instance without an anchor")
		}
		anchor, err := dumped(in.Data.VIPs[0])
		if err != nil {
			return nil, err
		}
		var vips []netip.Addr
		for _, text := range slices.Concat(in.Data.VIPs[1:], in.Data.EVIPs) {
			vip, err := dumped(text)
			if err != nil {
				return nil, err
			}
			vips = append(vips, vip)
		}
		slices.SortFunc(vips, netip.Addr.Compare)
		found[anchor] = vips
	}
	return found, nil
}

// dumped reads an address such as "10.9.1.1 dev eth0 scope global set" or "10.9.1.0/24 dev eth0".
func dumped(text string) (netip.Addr, error) {
	word, _, _ := strings.Cut(text, " ")
	word, _, _ = strings.Cut(word, "/")
	a, err := netip.ParseAddr(word)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("keepalived's dump: %w", err)
	}
	return a, nil
}
