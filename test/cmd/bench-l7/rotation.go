package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// rotating is how many load balancers have their certificates replaced at the same time, each again and again.
const rotating = 4

// pace is the pause between two handshakes with one of them.
const pace = 5 * time.Millisecond

// shownWithin bounds the time from a Secret to its certificate.
const shownWithin = 20 * time.Second

// rotation replaces certificates while clients make handshakes.
func (b *bench) rotation(ctx context.Context) error {
	return b.on(ctx, 3, 2, func(r *rig.Rig) error {
		d, err := r.Lab.Dialer("client")
		if err != nil {
			return err
		}
		defer d.Close()
		var all []*wheel
		for i := range rotating {
			w, err := newWheel(ctx, r, d, fmt.Sprintf("rotated-%d", i))
			if err != nil {
				return err
			}
			all = append(all, w)
		}
		before, err := reloads(ctx, r)
		if err != nil {
			return err
		}
		watching, stop := context.WithCancel(ctx)
		defer stop()
		errs := make([]error, len(all))
		var watchers, turners sync.WaitGroup
		for i, w := range all {
			watchers.Go(func() { w.watch(watching) })
			turners.Go(func() {
				for n := 0; n < b.rotations/rotating && errs[i] == nil; n++ {
					errs[i] = w.turn(ctx, r)
				}
			})
		}
		turners.Wait()
		stop()
		watchers.Wait()
		after, errAfter := reloads(ctx, r)
		if err := errors.Join(append(errs, errAfter)...); err != nil {
			return err
		}
		b.reportRotation(all, after-before)
		return nil
	})
}

func (b *bench) reportRotation(all []*wheel, reloads int) {
	var times []time.Duration
	failed := map[string]int{}
	lost, made, older := 0, 0, 0
	for _, w := range all {
		times, made, older = append(times, w.times...), made+w.made, older+w.older
		for why, n := range w.failed {
			failed[why] += n
			lost += n
		}
	}
	what := fmt.Sprintf("%d certificates replaced under handshakes: ", len(times))
	b.judge(what+"handshakes", "0 failed", lost == 0, "%d of %d failed%s", lost, made, reasons(failed))
	b.judge(what+"an older one shown after the new one", "0", older == 0, "%d of %d handshakes", older, made)
	b.report(what+"Secret written → shown", "%s", distribution(times))
	b.judge(what+"reloads of nginx on a node", "0", reloads == 0, "%d", reloads)
}

// wheel is a load balancer whose certificate is replaced.
type wheel struct {
	name, address string
	dialer        *netspace.Dialer
	times         []time.Duration

	mu sync.Mutex
	// versions are the certificates, the first 0, by their serial numbers; shown is the newest that was seen.
	versions map[string]int
	shown    int
	// seen is closed and made anew when a newer one is seen.
	seen        chan struct{}
	made, older int
	failed      map[string]int
}

func newWheel(ctx context.Context, r *rig.Rig, d *netspace.Dialer, name string) (*wheel, error) {
	w := &wheel{
		name: name, dialer: d, versions: map[string]int{}, seen: make(chan struct{}), failed: map[string]int{},
	}
	secret, err := w.next()
	if err != nil {
		return nil, err
	}
	if _, err := r.Client.CoreV1().Secrets("default").Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	w.address, err = served(ctx, r, name, "target-service-name", "tea", "protocol", "HTTPS", "tls-secret-name", name)
	return w, err
}

// next makes another certificate.
func (w *wheel) next() (*corev1.Secret, error) {
	pair, err := certtest.Generate(certtest.Options{Names: []string{serverName}})
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[pair.Serial()] = len(w.versions)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: w.name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key},
	}, nil
}

// turn replaces the certificate and waits until the new one is shown.
func (w *wheel) turn(ctx context.Context, r *rig.Rig) error {
	secret, err := w.next()
	if err != nil {
		return err
	}
	begun := time.Now()
	if _, err := r.Client.CoreV1().Secrets("default").Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		return err
	}
	late := time.NewTimer(shownWithin)
	defer late.Stop()
	for {
		w.mu.Lock()
		done, seen := w.shown == len(w.versions)-1, w.seen
		w.mu.Unlock()
		if done {
			w.times = append(w.times, time.Since(begun))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return fmt.Errorf("%s does not show its certificate number %d within %s", w.name, len(w.times)+1, shownWithin)
		case <-seen:
		}
	}
}

// watch makes one handshake after the other until the context is done.
func (w *wheel) watch(ctx context.Context) {
	for {
		serial, err := w.shake(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
			w.note(serial, err)
		}
	}
}

// shake makes a handshake and returns the serial number of the certificate. That it succeeds says that the key is the
// certificate's.
func (w *wheel) shake(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := w.dialer.DialContext(ctx, "tcp", net.JoinHostPort(w.address, "443"))
	if err != nil {
		return "", err
	}
	c := tls.Client(conn, clientConfig(nil))
	defer c.Close()
	if err := c.HandshakeContext(ctx); err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (w *wheel) note(serial string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made++
	if err != nil {
		w.failed[reason(err)]++
		return
	}
	switch version, ok := w.versions[serial]; {
	case !ok:
		w.failed["a certificate of somebody else"]++
	case version < w.shown:
		w.older++
	case version > w.shown:
		w.shown = version
		close(w.seen)
		w.seen = make(chan struct{})
	}
}
