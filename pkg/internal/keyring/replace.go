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
		if have, err := os.ReadFile(r.path(slotFile(name, slot))); err == nil && bytes.Equal(have, f.data) {
			continue
		}
		tmp, err := r.stage(f)
		if errs = append(errs, err); err == nil {
			staged[name] = tmp
		}
	}
	for _, name := range slices.Sorted(maps.Keys(staged)) {
		if err := awaitIdle(ctx, slot); err != nil {
			return err
		}
		errs = append(errs, r.rename(staged[name], late[name], slot))
	}
	return errors.Join(append(errs, atomicfile.SyncDir(r.dir))...)
}

// rename gives a staged file its real name, unless a still newer version has come meanwhile. The last slot's is the end
// of being late.
func (r *Ring) rename(tmp string, f file, slot int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, ok := r.late[f.name]; !ok || !bytes.Equal(now.data, f.data) {
		return nil
	}
	if err := os.Rename(tmp, r.path(slotFile(f.name, slot))); err != nil {
		return err
	}
	other, err := os.ReadFile(r.path(slotFile(f.name, (slot+1)%nginx.Slots)))
	if err == nil && bytes.Equal(other, f.data) {
		delete(r.late, f.name)
	}
	return nil
}
