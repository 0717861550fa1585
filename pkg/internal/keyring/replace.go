package keyring

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// margin is how far from a second's ends a file is replaced: nginx's workers know the time that was when they last
// waited for something to happen.
const margin = 250 * time.Millisecond

// untilIdle returns how long it is until a slot's files are not read.
func untilIdle(slot int, now time.Time) time.Duration {
	second := now.Truncate(time.Second)
	into := now.Sub(second)
	switch idle := nginx.Slot(now) != slot; {
	case idle && into < margin:
		return margin - into
	case idle && into < time.Second-margin:
		return 0
	case idle:
		return nginx.Slots*time.Second + margin - into
	default:
		return time.Second + margin - into
	}
}

// awaitIdle waits until a slot's files are not read.
func awaitIdle(ctx context.Context, slot int) error {
	for wait := untilIdle(slot, time.Now()); wait > 0; wait = untilIdle(slot, time.Now()) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}

// soonest returns the slot whose files are the first not to be read.
func soonest(now time.Time) int {
	first := 0
	for slot := range nginx.Slots {
		if untilIdle(slot, now) < untilIdle(first, now) {
			first = slot
		}
	}
	return first
}

// replaceAll replaces both files of the certificates that are late. It begins with those that are idle first, whatever
// was last: under a stream of versions, each of which begins anew, none of the two is left behind.
func (r *Ring) replaceAll(ctx context.Context) error {
	var errs []error
	first := soonest(time.Now())
	for i := range nginx.Slots {
		errs = append(errs, r.replace(ctx, (first+i)%nginx.Slots))
	}
	return errors.Join(errs...)
}

// replace replaces one of the two files of the certificates that are late. What takes long is done before the second in
// which it may be.
func (r *Ring) replace(ctx context.Context, slot int) error {
	r.mu.Lock()
	late := maps.Clone(r.late)
	r.mu.Unlock()
	staged := map[string]string{}
	defer func() {
		for _, tmp := range staged {
			_ = os.Remove(tmp) // gone where it has its real name
		}
	}()
	var errs []error
	for name, f := range late {
		if r.has(f, slot) {
			continue
		}
		tmp, err := r.stage(f)
		if errs = append(errs, err); err == nil {
			staged[name] = tmp
		}
	}
	for _, name := range slices.Sorted(maps.Keys(staged)) {
		if err := r.replaceOne(ctx, staged[name], late[name], slot); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(errs, atomicfile.SyncDir(r.dir))...)
}

// has reports whether a slot's file of a certificate is this version.
func (r *Ring) has(f file, slot int) bool {
	have, err := os.ReadFile(r.path(slotFile(f.name, slot)))
	return err == nil && bytes.Equal(have, f.data)
}

// replaceOne gives a staged file its real name when it may. A newer version that has come meanwhile takes its place.
func (r *Ring) replaceOne(ctx context.Context, tmp string, f file, slot int) error {
	defer func() { _ = os.Remove(tmp) }() // gone where it has its real name
	for {
		if err := awaitIdle(ctx, slot); err != nil {
			return err
		}
		outcome, err := r.rename(tmp, f, slot)
		if err != nil || outcome == renamed || outcome == gone {
			return err
		}
		if outcome == tooLate {
			continue
		}
		r.mu.Lock()
		next, late := r.late[f.name]
		r.mu.Unlock()
		if !late || r.has(next, slot) {
			return nil
		}
		_ = os.Remove(tmp)
		if tmp, err = r.stage(next); err != nil {
			return err
		}
		f = next
	}
}

// outcome is what became of a staged file.
type outcome int

const (
	renamed outcome = iota
	// gone is what is no more late, superseded what has a newer version.
	gone
	superseded
	// tooLate is what the lock kept from its second.
	tooLate
)

// rename gives a staged file its real name, unless a still newer version has come meanwhile or nginx reads the slot.
// The last slot's is the end of being late.
func (r *Ring) rename(tmp string, f file, slot int) (outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, ok := r.late[f.name]
	switch {
	case !ok:
		return gone, nil
	case !bytes.Equal(now.data, f.data):
		return superseded, nil
	case untilIdle(slot, time.Now()) > 0:
		return tooLate, nil
	}
	if err := os.Rename(tmp, r.path(slotFile(f.name, slot))); err != nil {
		return renamed, err
	}
	if r.has(f, (slot+1)%nginx.Slots) {
		delete(r.late, f.name)
	}
	return renamed, nil
}
