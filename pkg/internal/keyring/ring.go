package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/atomicfile"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// Ring is the directory. Its methods may be used at the same time.
type Ring struct {
	dir   string
	group int
	log   *slog.Logger
	// barred is a directory above that nginx's workers may not pass through, empty for none.
	barred string

	// taking keeps two of what is handed out from overtaking each other. judged belongs to it.
	taking sync.Mutex
	judged verdicts

	mu sync.Mutex
	// handed are the names of the files that the controller has handed out last.
	handed map[string]bool
	// tickets are the files of the ticket keys, the first to make tickets with.
	tickets []string
	// late are certificates that one of their files, or both, has an older version of.
	late map[string]file
	// work holds a token when there are such.
	work chan struct{}
}

// The modes of the directory and of the files.
const (
	dirMode     = 0o710
	sharedMode  = 0o440
	privateMode = 0o400
	tmpPrefix   = ".new-"
)

// Open makes the directory, or takes over what is in it. group is that of nginx's workers; the files become that
// group's, for another image of the daemon may have given it another number.
func Open(dir string, group int, log *slog.Logger) (*Ring, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	if err := errors.Join(os.Chown(dir, -1, group), os.Chmod(dir, dirMode)); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	r := &Ring{dir: dir, group: group, log: log, late: map[string]file{}, work: make(chan struct{}, 1)}
	names, err := r.names()
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) { // of a daemon that was killed
			_ = os.Remove(r.path(name))
		}
	}
	r.tickets, r.barred = r.latestTickets(names), barred(dir, group)
	for _, name := range names {
		if !strings.HasSuffix(name, ".pem") {
			continue
		}
		if err := os.Chown(r.path(name), -1, group); err != nil {
			log.Error("nginx's workers may be unable to read a certificate", "file", r.path(name), "error", err)
		}
	}
	return r, nil
}

// barred returns the first directory above another that a group may not pass through, empty for none. nginx's master,
// which is root, would find nothing wrong, and no handshake succeed.
func barred(dir string, group int) string {
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return ""
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		theirs := ok && int(stat.Gid) == group && info.Mode()&0o010 != 0
		if info.Mode()&0o001 == 0 && !theirs {
			return above
		}
		if above == filepath.Dir(above) {
			return ""
		}
	}
}

// Dir is the directory.
func (r *Ring) Dir() string { return r.dir }

func (r *Ring) path(name string) string { return filepath.Join(r.dir, name) }

func (r *Ring) names() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// latestTickets returns the youngest set of ticket keys on the disk.
func (r *Ring) latestTickets(names []string) []string {
	var latest string
	var at time.Time
	for _, name := range names {
		isFirst := strings.HasPrefix(name, ticketPrefix) && strings.HasSuffix(name, ".0.key")
		if info, err := os.Stat(r.path(name)); isFirst && err == nil && info.ModTime().After(at) {
			latest, at = strings.TrimSuffix(name, "0.key"), info.ModTime()
		}
	}
	if latest == "" {
		return nil
	}
	var set []string
	for _, name := range names { // os.ReadDir sorts them
		if strings.HasPrefix(name, latest) {
			set = append(set, name)
		}
	}
	return set
}

// Tickets returns the files of the ticket keys, in their order.
func (r *Ring) Tickets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tickets)
}

// Missing returns the names of the files that a load balancer needs and that are not there.
func (r *Ring) Missing(l lb.LoadBalancer) []string {
	return slices.DeleteFunc(filesOf(l), func(name string) bool {
		_, err := os.Stat(r.path(name))
		return err == nil
	})
}

// Take takes what the controller hands out. What nobody reads yet is on the disk when it returns; what replaces a
// certificate follows by [Ring.Run]. An error tells what was refused, and all else is done.
func (r *Ring) Take(m Material) error {
	r.taking.Lock()
	defer r.taking.Unlock()
	single, certificates, errs := r.judged.files(m)
	if r.barred != "" && len(certificates) > 0 {
		errs = slices.Insert(errs, 0, fmt.Errorf("nginx's workers (group %d) may not pass through %s and read no "+
			"certificate; allow it (chmod o+x) and start the daemon again", r.group, r.barred))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handed = map[string]bool{}
	for _, f := range single {
		r.handed[f.name] = true
		errs = append(errs, r.write(f))
	}
	for _, f := range certificates {
		errs = append(errs, r.takeCertificate(f))
	}
	// What is gone is not brought back after it was pruned. What was refused just now is not gone.
	maps.DeleteFunc(r.late, func(name string, _ file) bool {
		_, there := m.Certificates[name]
		return !there
	})
	if names := m.ticketFiles(); len(names) > 0 {
		r.tickets = names
	}
	errs = append(errs, atomicfile.SyncDir(r.dir))
	if len(r.late) > 0 {
		select {
		case r.work <- struct{}{}:
		default:
		}
	}
	return join(errs)
}

// Named reports whether a program's words name a file that a load balancer needs.
func (r *Ring) Named(words string, l lb.LoadBalancer) bool {
	return slices.ContainsFunc(filesOf(l), func(name string) bool { return strings.Contains(words, `"`+r.path(name)+`"`) })
}

// takeCertificate writes a new certificate, or notes that one has to be replaced.
func (r *Ring) takeCertificate(f file) error {
	var errs []error
	delete(r.late, f.name)
	for slot := range nginx.Slots {
		name := slotFile(f.name, slot)
		r.handed[name] = true
		have, err := os.ReadFile(r.path(name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			errs = append(errs, r.write(file{name: name, data: f.data, shared: f.shared}))
		case err != nil || !bytes.Equal(have, f.data):
			r.late[f.name] = f
		}
	}
	return errors.Join(errs...)
}

func slotFile(name string, slot int) string {
	return nginx.CertificateFile(lb.Material{Name: name}, slot)
}

// write makes a file, unless it is there.
func (r *Ring) write(f file) error {
	if have, err := os.ReadFile(r.path(f.name)); err == nil && bytes.Equal(have, f.data) {
		return nil
	}
	tmp, err := r.stage(f)
	if err != nil {
		return err
	}
	return os.Rename(tmp, r.path(f.name))
}

// stage writes a file under a name that nobody reads. It has its content and its mode before it gets its name.
func (r *Ring) stage(f file) (string, error) {
	tmp, err := os.CreateTemp(r.dir, tmpPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	_, err = tmp.Write(f.data)
	if err == nil && f.shared {
		err = errors.Join(tmp.Chown(-1, r.group), tmp.Chmod(sharedMode))
	} else if err == nil {
		err = tmp.Chmod(privateMode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		_ = os.Remove(tmp.Name())
		return "", fmt.Errorf("keyring: %s: %w", f.name, err)
	}
	return tmp.Name(), nil
}

// Prune removes what neither the controller hands out nor the load balancers need that run. tickets are the files of
// ticket keys that run.
func (r *Ring) Prune(running []lb.LoadBalancer, tickets []string) error {
	keep := map[string]bool{}
	for _, l := range running {
		for _, name := range filesOf(l) {
			keep[name] = true
		}
	}
	for _, name := range tickets {
		keep[name] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handed == nil {
		return nil // nobody has said yet what there is
	}
	names, err := r.names()
	errs := []error{err}
	for _, name := range names {
		if !keep[name] && !r.handed[name] && !strings.HasPrefix(name, tmpPrefix) {
			errs = append(errs, os.Remove(r.path(name)))
		}
	}
	return errors.Join(errs...)
}

// retryAfter is the pause before another attempt at what failed.
const retryAfter = 10 * time.Second

// Run replaces certificates until the context is done.
func (r *Ring) Run(ctx context.Context) {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.work:
		case <-retry:
		}
		retry = nil
		if err := r.replaceAll(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("a certificate cannot be replaced; the former one stays", "error", err)
			retry = time.After(retryAfter)
		}
	}
}
