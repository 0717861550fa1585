package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// demo is a run of the story.
type demo struct {
	rig   *rig.Rig
	out   io.Writer
	steps []step
}

// step is a line of the closing table.
type step struct {
	name, result string
	took         time.Duration
	failed       bool
}

// step runs one part of the story and prints its line.
func (d *demo) step(name string, do func() (string, error)) error {
	start := time.Now()
	result, err := do()
	s := step{name: name, result: result, took: time.Since(start), failed: err != nil}
	d.steps = append(d.steps, s)
	mark := "ok"
	if err != nil {
		mark, s.result = "FAILED", err.Error()
	}
	fmt.Fprintf(d.out, "%-6s %6.2f s  %s: %s\n", mark, s.took.Seconds(), name, s.result)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// play is the story from the installation on.
func (d *demo) play(ctx context.Context) error {
	var coffee, active string
	for _, part := range []struct {
		name string
		do   func() (string, error)
	}{
		{"kubectl apply -f deploy/", func() (string, error) {
			return "2 lb-controllers, 3 lb-daemons", d.rig.Install(ctx)
		}},
		{"kubectl apply -f examples/coffee-app.yaml", func() (string, error) { return d.app(ctx, "coffee") }},
		{"kubectl apply -f examples/coffee-configmap.yaml", func() (_ string, err error) {
			if err := d.rig.ApplyFile(ctx, "examples/coffee-configmap.yaml"); err != nil {
				return "", err
			}
			coffee, err = d.rig.WaitServing(ctx, "default", "configmap-coffee-svc")
			return "bind-ip: " + coffee + ", status: SUCCESS", err
		}},
		{"curl from outside the cluster", func() (string, error) { return d.hello(ctx, coffee) }},
		{"kubectl lb expose svc/tea --wait", func() (string, error) { return d.expose(ctx) }},
		{"kubectl lb status", func() (string, error) { return d.status(ctx) }},
		{"cut off the node that holds the address", func() (_ string, err error) {
			active, err = d.cut(ctx, coffee)
			return active, err
		}},
	} {
		if err := errors.Join(ctx.Err(), d.step(part.name, part.do)); err != nil {
			return err
		}
	}
	return nil
}

// app applies a sample application and waits for its pods.
func (d *demo) app(ctx context.Context, name string) (string, error) {
	if err := d.rig.ApplyFile(ctx, "examples/"+name+"-app.yaml"); err != nil {
		return "", err
	}
	service := map[string]string{"coffee": "coffee-svc", "tea": "tea"}[name]
	return "its pods answer inside the cluster", d.rig.WaitService(ctx, "default", service)
}

// hello asks an address from the client that stands outside, and wants a pod's answer.
func (d *demo) hello(ctx context.Context, address string) (string, error) {
	page, err := d.rig.Get(ctx, "client", "http://"+address+"/")
	if err != nil {
		return "", err
	}
	if !strings.Contains(strings.ToLower(page), "hello") {
		return "", fmt.Errorf("%s answers without a hello: %.80q", address, page)
	}
	return fmt.Sprintf("http://%s/ says hello", address), nil
}

// expose does with one command what took a ConfigMap before.
func (d *demo) expose(ctx context.Context) (string, error) {
	if _, err := d.app(ctx, "tea"); err != nil {
		return "", err
	}
	out, err := d.rig.MustKubectl(ctx, "", "lb", "expose", "svc/tea", "--wait", "--timeout=30s")
	if err != nil {
		return "", err
	}
	tea, err := d.rig.WaitServing(ctx, "default", "tea")
	if err != nil {
		return "", err
	}
	if _, err := d.hello(ctx, tea); err != nil {
		return "", err
	}
	return strings.TrimSpace(out), nil
}

// status shows the table that users see.
func (d *demo) status(ctx context.Context) (string, error) {
	out, err := d.rig.MustKubectl(ctx, "", "lb", "status")
	if err != nil {
		return "", err
	}
	for _, want := range []string{"configmap-coffee-svc", "tea"} {
		if !strings.Contains(out, want) {
			return "", fmt.Errorf("%s is missing from\n%s", want, out)
		}
	}
	return "\n\n" + out, nil
}

// cut takes the link from the node that holds the address, and measures how long nothing answered.
func (d *demo) cut(ctx context.Context, address string) (string, error) {
	before, err := d.rig.Holders(address)
	if err != nil {
		return "", err
	}
	if len(before) != 1 {
		return "", fmt.Errorf("%s is held by %d nodes", address, len(before))
	}
	probe, err := d.rig.Probe(ctx, "client", address)
	if err != nil {
		return "", err
	}
	if err := d.rig.Lab.LinkDown(before[0]); err != nil {
		probe.Stop()
		return "", err
	}
	report := probe.StopAfter(3 * time.Second)
	if !report.Ended() || report.Failed == 0 {
		return "", fmt.Errorf("%s was cut off: %s", before[0], report)
	}
	if _, err := d.hello(ctx, address); err != nil {
		return "", err
	}
	if err := d.rig.Lab.LinkUp(before[0]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s was lost, %s answered again after %d ms", before[0], address,
		report.Outage().Milliseconds()), nil
}

// table closes the demo.
func (d *demo) table() {
	held := true
	fmt.Fprintf(d.out, "\n%-48s %9s  %s\n", "STEP", "TIME", "RESULT")
	for _, s := range d.steps {
		mark := "ok"
		if s.failed {
			mark, held = "FAILED", false
		}
		fmt.Fprintf(d.out, "%-48s %7.2f s  %s\n", s.name, s.took.Seconds(), mark)
	}
	if last := d.steps[len(d.steps)-1]; held && !last.failed {
		fmt.Fprintf(d.out, "\n%s.\n", last.result)
	}
}

// usage says how to use a lab that stays.
func (d *demo) usage(r *rig.Rig) {
	info := r.Lab.Info()
	fmt.Fprintf(d.out, "\nThe lab stays. Use it:\n\n  export KUBECONFIG=%s PATH=%s:%s:$PATH\n",
		info.Kubeconfig, r.Bin, r.Binaries)
	fmt.Fprintf(d.out, "  kubectl lb status -A\n  lab exec --name %s client -- curl -s http://ADDRESS/\n", info.Name)
	fmt.Fprintf(d.out, "  lab fault --name %s lb1 link-down\n  lab down --name %s\n\nNodes:", info.Name, info.Name)
	for _, n := range append(info.Nodes, info.Client) {
		fmt.Fprintf(d.out, " %s", n.Name)
	}
	fmt.Fprintln(d.out)
}
