package octavia

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Worker is a kind of octavia-worker.
type Worker string

const (
	// WorkerCorrected behaves as Octavia 11.0.1 and later.
	WorkerCorrected Worker = "corrected"
	// WorkerStock is Debian 12's (Octavia 11.0.0): the children of a load balancer that was created in one call stay
	// in PENDING_CREATE for ever.
	WorkerStock Worker = "stock"
)

// Options describe a cloud. The zero value is one named "octavia" with the corrected worker.
type Options struct {
	// Name tells the clouds of one machine apart; a-z, 0-9 and "-". Default "octavia".
	Name string `json:"name"`
	// Worker is the worker to begin with. Default [WorkerCorrected].
	Worker Worker `json:"worker"`
	// TokenLife is how long Keystone's tokens are good for. Default one hour.
	TokenLife time.Duration `json:"tokenLife"`
	// Tied says that the cloud is of no use without the process that starts it, such as a test's: once that is gone, the
	// next start with the same name removes it.
	Tied bool `json:"tied"`
	// Out takes progress, a line a step. Default: nothing is said.
	Out io.Writer `json:"-"`
}

// Cloud is a running Keystone, Octavia and Barbican.
type Cloud struct {
	options   Options
	dir       string
	namespace string
	dialer    *netspace.Dialer
	db        *sql.DB
}

// BaseDir holds the clouds' folders.
func BaseDir() string { return filepath.Join(os.TempDir(), "kubectl-lb-octavia") }

func newCloud(o Options) *Cloud {
	o.Name = cmp.Or(o.Name, "octavia")
	o.Worker = cmp.Or(o.Worker, WorkerCorrected)
	o.TokenLife = cmp.Or(o.TokenLife, time.Hour)
	if o.Out == nil {
		o.Out = io.Discard
	}
	return &Cloud{options: o, dir: filepath.Join(BaseDir(), o.Name), namespace: "klb-oct-" + o.Name}
}

// Up starts a cloud and waits until it answers; what a dead one of the same name has left is removed first. The
// daemons outlive the caller. The first start on a machine takes about a minute: databases are made.
func Up(ctx context.Context, o Options) (*Cloud, error) {
	c := newCloud(o)
	if err := c.claim(); err != nil {
		return nil, fmt.Errorf("cloud %s: %w", c.options.Name, err)
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cloud %s: %w", c.options.Name, err), c.Down())
	}
	return c, nil
}

// Open finds a running cloud; an empty name means "octavia".
func Open(name string) (*Cloud, error) {
	c := newCloud(Options{Name: name})
	data, err := os.ReadFile(c.path("ready.json"))
	if err != nil {
		return nil, fmt.Errorf("no cloud %s runs: %w", c.options.Name, err)
	}
	out := c.options.Out
	if err := json.Unmarshal(data, &c.options); err != nil {
		return nil, fmt.Errorf("cloud %s: %w", c.options.Name, err)
	}
	c.options.Out = out
	if err := c.dial(); err != nil {
		return nil, err
	}
	return c, nil
}

// claim takes the name, removing what a dead cloud has left. A living one is an error.
func (c *Cloud) claim() error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed, for a network namespace and the database's user")
	}
	if err := os.MkdirAll(BaseDir(), 0o755); err != nil {
		return err
	}
	lock, err := os.Open(BaseDir())
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	if p, err := c.owner(); err == nil && p.Alive() {
		return fmt.Errorf("process %d is starting or using it", p.PID)
	}
	if old, err := Open(c.options.Name); err == nil && !old.options.Tied && len(old.processes()) > 0 {
		old.Close()
		return errors.New("it runs already")
	}
	if err := c.Down(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	self, err := netspace.Look(os.Getpid())
	if err != nil {
		return err
	}
	return c.writeJSON("owner.json", self)
}

// owner is the process that starts the cloud, or that it is tied to.
func (c *Cloud) owner() (p netspace.Process, err error) {
	data, err := os.ReadFile(c.path("owner.json"))
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(data, &p)
	return p, err
}

func (c *Cloud) writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(c.path(name), data, 0o600)
}

func (c *Cloud) dial() error {
	d, err := netspace.NewDialer(netspace.Path(c.namespace))
	if err != nil {
		return fmt.Errorf("cloud %s: %w", c.options.Name, err)
	}
	c.dialer = d
	c.db, err = openDatabase(c.path("mysql", "socket"))
	return err
}

// TokenLife is how long Keystone's tokens are good for.
func (c *Cloud) TokenLife() time.Duration { return c.options.TokenLife }

// Dir is where everything of the cloud is; the daemons' output is in its log folder.
func (c *Cloud) Dir() string { return c.dir }

// Close gives up what this process holds of the cloud; the cloud runs on.
func (c *Cloud) Close() {
	if c.dialer != nil {
		c.dialer.Close()
		c.db.Close()
	}
}

// Down ends every process of the cloud and removes its namespace and its folder. What is not there is no error.
func (c *Cloud) Down() error {
	c.Close()
	errs := []error{c.endAll(), netspace.Delete(c.namespace)}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// Down ends and removes the cloud of that name, running or dead.
func Down(name string) error { return newCloud(Options{Name: name}).Down() }

// Await returns when the cloud has ended or the context has.
func (c *Cloud) Await(ctx context.Context) {
	for len(c.processes()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// endAll asks every process to end, and makes those that have not ended after some seconds. RabbitMQ and MariaDB have
// nothing that would be worth waiting for.
func (c *Cloud) endAll() error {
	deadline := time.Now().Add(3 * time.Second)
	for first := true; ; first = false {
		left := c.processes()
		if len(left) == 0 {
			return nil
		}
		signal := unix.SIGKILL
		if time.Now().Before(deadline) {
			signal = unix.SIGTERM
		} else if time.Now().After(deadline.Add(10 * time.Second)) {
			return fmt.Errorf("%d processes do not end, the first is %d (%s)", len(left), left[0].PID, left[0].Program)
		}
		for _, p := range left {
			if first || signal == unix.SIGKILL {
				if err := p.Signal(signal); err != nil {
					return err
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// processes are all that live in the namespace, which nothing else ever enters.
func (c *Cloud) processes() []netspace.Process {
	found, err := netspace.Processes(netspace.Path(c.namespace))
	if err != nil {
		return nil // no namespace, no processes
	}
	alive := found[:0]
	for _, p := range found {
		if p.Alive() {
			alive = append(alive, p)
		}
	}
	return alive
}
