package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bulkPause keeps the many that ask from being the load that is measured.
const bulkPause = 100 * time.Millisecond

// many creates many load balancers at once, waits until every one answers, and looks at who needs how much memory.
func (b *bench) many(ctx context.Context) error {
	begun := time.Now()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		last time.Duration
		errs []error
	)
	slots := make(chan struct{}, 20) // as many requests at once as a busy client makes
	for i := range b.bulk {
		wg.Go(func() {
			took, err := b.one(ctx, fmt.Sprintf("bulk-%03d", i), slots, begun)
			mu.Lock()
			defer mu.Unlock()
			last = max(last, took)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d failed: %w", len(errs), b.bulk, errs[0])
	}
	b.report(fmt.Sprintf("%d load balancers created at once, all answering", b.bulk), "≤ 10 s", "%.1f s", last.Seconds())
	return b.memory()
}

// one creates a load balancer and returns when it answered, since the begin of all.
func (b *bench) one(ctx context.Context, name string, slots chan struct{}, begun time.Time) (time.Duration, error) {
	slots <- struct{}{}
	_, err := b.rig.Client.CoreV1().ConfigMaps("default").Create(ctx, loadBalancer(name), metav1.CreateOptions{})
	<-slots
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		data, err := b.rig.Data(ctx, "default", name)
		if err == nil && data["bind-ip"] != "" {
			err = b.untilAnswered(ctx, data["bind-ip"], bulkPause)
			return time.Since(begun), err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s has no address: %w", name, ctx.Err())
		case <-time.After(bulkPause):
		}
	}
}

// memory reports the resident memory of the programs, the largest of each kind.
func (b *bench) memory() error {
	largest := map[string]int{}
	processes, err := b.rig.Lab.AllProcesses()
	if err != nil {
		return err
	}
	for _, p := range processes {
		kib, err := resident(p.PID)
		if err != nil {
			return err
		}
		largest[p.Program] = max(largest[p.Program], kib)
	}
	what := fmt.Sprintf("memory with %d load balancers: ", b.bulk)
	b.report(what+"lb-controller", "≤ 100 MiB", "%.0f MiB resident", float64(largest["lb-controller"])/1024)
	b.report(what+"lb-daemon without its nginx", "≤ 60 MiB", "%.0f MiB resident", float64(largest["lb-daemon"])/1024)
	return nil
}

// resident reads VmRSS in KiB (proc(5)).
func resident(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			return strconv.Atoi(string(bytes.Fields(rest)[0]))
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
