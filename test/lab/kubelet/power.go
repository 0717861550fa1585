package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// power says whether a node has power. The zero value has.
type power struct {
	mu sync.Mutex
	// off is closed when the power comes back; nil while it is there.
	off chan struct{}
}

func (p *power) cut() (was bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off != nil {
		return false
	}
	p.off = make(chan struct{})
	return true
}

func (p *power) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off != nil {
		close(p.off)
		p.off = nil
	}
}

func (p *power) isOff() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.off != nil
}

// wait returns when there is power, false when ctx ended or stop was closed first.
func (p *power) wait(ctx context.Context, stop <-chan struct{}) bool {
	p.mu.Lock()
	off := p.off
	p.mu.Unlock()
	if off == nil {
		return true
	}
	select {
	case <-off:
		return true
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	}
}

// PowerOff takes the node's power: nothing is sent any more, every process is dead at once, and what only its kernel
// knew is forgotten. Its Pods stay bound to it and its disk stays. A node that is off already is no error.
func (k *Kubelet) PowerOff(name string) error {
	n, err := k.node(name)
	if err != nil || !n.power.cut() {
		return err
	}
	// The cable first: a process that dies may still send, and a machine without power does not.
	if err := fabric.LinkDown(n.Node); err != nil {
		return err
	}
	var errs []error
	for _, r := range k.runners(name) {
		r.mu.Lock()
		for _, c := range r.containers {
			if c.pid != 0 {
				errs = append(errs, killInit(c.pid))
			}
		}
		r.mu.Unlock()
	}
	return errors.Join(append(errs, fabric.ForgetAddresses(n.Node))...)
}

// killInit kills a container by its init: the kernel kills all others of its process namespace with it.
func killInit(pid int) error {
	p, err := netspace.Look(pid)
	if err != nil {
		return nil //nolint:nilerr // it has just ended by itself
	}
	return p.Signal(9)
}

// PowerOn gives the power back: the link comes up, and the node's Pods are started again, as after a boot.
func (k *Kubelet) PowerOn(name string) error {
	n, err := k.node(name)
	if err != nil || !n.power.isOff() {
		return err
	}
	for _, r := range k.runners(name) {
		if err := r.volumes().forgetMemory(); err != nil {
			return err
		}
	}
	if err := fabric.ForgetAddresses(n.Node); err != nil {
		return err
	}
	if err := fabric.LinkUp(k.opts.Plan, n.Node); err != nil {
		return err
	}
	n.power.restore()
	return nil
}

func (k *Kubelet) node(name string) (*node, error) {
	n, ok := k.nodes[name]
	if !ok {
		return nil, fmt.Errorf("no node %q", name)
	}
	return n, nil
}

// runners returns those of the node's Pods.
func (k *Kubelet) runners(node string) []*podRunner {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []*podRunner
	for _, r := range k.pods {
		if r.node.Name == node {
			found = append(found, r)
		}
	}
	return found
}

// forgetMemory empties the volumes that are kept in memory, which do not outlive a boot.
func (v volumes) forgetMemory() error {
	var errs []error
	for _, volume := range v.pod.Spec.Volumes {
		if e := volume.EmptyDir; e == nil || e.Medium != corev1.StorageMediumMemory {
			continue
		}
		entries, err := os.ReadDir(v.path(volume))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			errs = append(errs, os.RemoveAll(filepath.Join(v.path(volume), e.Name())))
		}
	}
	return errors.Join(errs...)
}
