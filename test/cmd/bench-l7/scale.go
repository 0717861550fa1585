package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// goals are the medians to reach, by the number of load balancers.
var goals = map[int]time.Duration{
	10: 150 * time.Millisecond, 1000: 600 * time.Millisecond, 5000: 3500 * time.Millisecond,
}

// scale measures a change beside growing numbers of load balancers, on one node: in the field each has its own cores.
// The many have IPv6 addresses of their own, for the lab has not as many of IPv4.
func (b *bench) scale(ctx context.Context) error {
	return b.on(ctx, 1, 1, func(r *rig.Rig) error {
		address, err := served(ctx, r, "changed", "target-service-name", "tea", "protocol", "HTTP")
		if err != nil {
			return err
		}
		have := 1
		for text := range strings.SplitSeq(b.sizes, ",") {
			size, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			if err := grow(ctx, r, have, size); err != nil {
				if ctx.Err() != nil {
					return fmt.Errorf("%d load balancers: %w", size, err)
				}
				// What the machine cannot hold is a result, and what was measured before it stands.
				b.report(fmt.Sprintf("beside %d load balancers", size), "not measured: %v", err)
				return nil
			}
			have = size
			if err := b.beside(ctx, r, size, address); err != nil {
				return fmt.Errorf("beside %d load balancers: %w", size, err)
			}
		}
		return nil
	})
}

// grow creates load balancers until there are that many, and waits until all are served.
func grow(ctx context.Context, r *rig.Rig, from, to int) error {
	var wg sync.WaitGroup
	errs := make(chan error, max(0, to-from))
	slots := make(chan struct{}, 20)
	for i := from; i < to; i++ {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := r.Client.CoreV1().ConfigMaps("default").Create(ctx, loadBalancer(fmt.Sprintf("many-%05d", i),
				"target-service-name", "tea", "protocol", "HTTP", "ip-families", "IPv6",
				"host", fmt.Sprintf("host-%d.example.com", i)), metav1.CreateOptions{})
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return untilServed(ctx, r, to)
}

// untilServed waits until that many load balancers are served.
func untilServed(ctx context.Context, r *rig.Rig, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		n := 0
		list, err := r.Client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{LabelSelector: "app=loadbalancer"})
		if err == nil {
			for _, cm := range list.Items {
				if cm.Data["status"] == "SUCCESS" {
					n++
				}
			}
		}
		if n >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("only %d are served", n), err)
		case <-time.After(2 * time.Second):
		}
	}
}

// beside changes a load balancer and measures when it answers as it should, and what the programs then take.
func (b *bench) beside(ctx context.Context, r *rig.Rig, size int, address string) error {
	documents, err := attend(ctx, r)
	if err != nil {
		return err
	}
	defer documents.watch.Stop()
	var trials []trial
	var times []time.Duration
	for i := range b.trials {
		time.Sleep(2 * time.Second) // the daemons take a storm of changes in fewer reloads; this is none
		t, err := change(ctx, r, address, fmt.Sprintf("%d-%d", size, i))
		if err != nil {
			return err
		}
		trials, times = append(trials, t), append(times, t.took())
	}
	what := fmt.Sprintf("beside %d load balancers: ", size)
	measured := distribution(times) // which sorts them
	if goal, ok := goals[size]; ok {
		b.judge(what+"change → served", fmt.Sprintf("median ≤ %s", goal), at(times, 0.5) <= goal, "%s", measured)
	} else {
		b.report(what+"change → served", "%s", measured)
	}
	time.Sleep(5 * time.Second) // the workers of the last generation end, and the last line is in the log
	stages, err := breakdown(ctx, r, trials, documents)
	if err != nil {
		stages = fmt.Sprintf("not known: %v", err) // the figures themselves stand without it
	}
	b.report(what+"… of it, the medians", "%s", stages)
	memory, err := memoryOf(r)
	if err != nil {
		return err
	}
	b.report(what+"memory", "nginx %.0f MiB, lb-daemon %.0f MiB, lb-controller %.0f MiB", memory["nginx"],
		memory["lb-daemon"], memory["lb-controller"])
	return nil
}

// change sets a header of the answers, and returns when the API server answered, and when the header was seen.
func change(ctx context.Context, r *rig.Rig, address, value string) (trial, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	patch := fmt.Appendf(nil, `{"data":{"set-response-headers":"X-Trial: %s"}}`, value)
	_, err := r.Client.CoreV1().ConfigMaps("default").Patch(ctx, "changed", types.MergePatchType, patch,
		metav1.PatchOptions{})
	if err != nil {
		return trial{}, err
	}
	begun := time.Now()
	for {
		res, err := r.Request(ctx, "client", address+":80", address, "/")
		if err == nil && res.Header.Get("X-Trial") == value {
			return trial{begun: begun, seen: time.Now()}, nil
		}
		select {
		case <-ctx.Done():
			return trial{}, fmt.Errorf("the change is not served: %w", errors.Join(ctx.Err(), err))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// memoryOf returns what the processes of each program take together, in MiB, each shared page counted once (PSS).
func memoryOf(r *rig.Rig) (map[string]float64, error) {
	processes, err := r.Lab.AllProcesses()
	if err != nil {
		return nil, err
	}
	processes = slices.DeleteFunc(processes, func(p netspace.Process) bool { return p.Program == "nginx" })
	// nginx has no environment, by which the lab knows its own.
	for _, node := range r.LBNodes() {
		more, err := r.Lab.Processes(node, "nginx")
		if err != nil {
			return nil, err
		}
		processes = append(processes, more...)
	}
	sums := map[string]float64{}
	for _, p := range processes {
		kib, err := pss(p.PID)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return nil, err
		}
		sums[p.Program] += float64(kib) / 1024
	}
	return sums, nil
}

// pss reads a process's proportional set size in KiB (proc(5)).
func pss(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			return strconv.Atoi(string(bytes.Fields(rest)[0]))
		}
	}
	return 0, fmt.Errorf("process %d has no Pss", pid)
}
