package octavia

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// patience is how long a daemon may take to answer on a busy machine.
const patience = 15 * time.Minute

func (c *Cloud) say(format string, args ...any) { fmt.Fprintf(c.options.Out, format+"\n", args...) }

// start makes the namespace and starts everything, what does not depend on each other at the same time.
func (c *Cloud) start(ctx context.Context) error {
	begun := time.Now()
	for _, program := range []string{"/usr/bin/octavia-worker", "/usr/bin/keystone-manage", "/usr/bin/uwsgi_python3",
		"/usr/sbin/mariadbd", "/usr/lib/rabbitmq/bin/rabbitmq-server"} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("hack/deps-octavia.sh installs what is missing: %w", err)
		}
	}
	if err := c.writeConf(); err != nil {
		return err
	}
	if err := c.writeCA(); err != nil {
		return err
	}
	if err := netspace.Create(c.namespace); err != nil {
		return err
	}
	if err := c.run(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	if err := c.dial(); err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return c.startRabbit(ctx) })
	all.Go(func() error {
		if err := c.startDatabase(ctx); err != nil {
			return err
		}
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error { return c.startKeystone(ctx) })
		both.Go(func() error { return c.startBarbican(ctx) })
		both.Go(func() error {
			return c.run(ctx, "octavia-db-manage", "--config-file", c.path("conf", "octavia.conf"), "upgrade", "head")
		})
		return both.Wait()
	})
	if err := all.Wait(); err != nil {
		return err
	}
	if err := c.startOctavia(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if !c.options.Tied {
		if err := os.Remove(c.path("owner.json")); err != nil {
			return err
		}
	}
	c.say("cloud %s answers after %.1f s", c.options.Name, time.Since(begun).Seconds())
	return c.writeJSON("ready.json", c.options)
}

// env is a daemon's whole environment: nothing of the caller's OpenStack or Python reaches it.
func (c *Cloud) env(more ...string) []string {
	return append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + c.dir}, more...)
}

// run runs a command in the namespace to its end.
func (c *Cloud) run(ctx context.Context, argv ...string) error {
	return c.feed(ctx, "", argv...)
}

// feed is run with something on the command's standard input.
func (c *Cloud) feed(ctx context.Context, stdin string, argv ...string) error {
	args := append([]string{"--net=" + netspace.Path(c.namespace), "--"}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.Env = c.env()
	cmd.Stdin = strings.NewReader(stdin)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(errOut.String())
		return fmt.Errorf("%s: %w: %s", argv[0], err, text[max(0, len(text)-600):])
	}
	return nil
}

// launch starts a daemon in the namespace, in a session of its own, its output in log/NAME.log.
func (c *Cloud) launch(name string, env []string, argv ...string) error {
	log, err := os.OpenFile(c.path("log", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := netspace.Command(netspace.Path(c.namespace), argv...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env(env...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = cmd.Wait() }() // no zombie may look like a daemon that still lives
	return nil
}

// until asks again and again until the daemon is there.
func (c *Cloud) until(ctx context.Context, what string, ready func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ready(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s does not answer (see %s): %w", what, c.path("log"), err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Cloud) open(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := c.dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func (c *Cloud) answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := c.http().Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode >= http.StatusBadRequest {
			return errors.New(resp.Status)
		}
		return nil
	}
}

// http is a client inside the namespace.
func (c *Cloud) http() *http.Client {
	return &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{DialContext: c.dialer.DialContext, DisableKeepAlives: true},
	}
}

func (c *Cloud) startDatabase(ctx context.Context) error {
	data := c.path("mysql")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	if err := os.Chown(data, uid, -1); err != nil {
		return err
	}
	if err := c.run(ctx, "mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data,
		"--auth-root-authentication-method=socket", "--skip-test-db"); err != nil {
		return err
	}
	err = c.launch("mariadb", nil, "mariadbd", "--no-defaults", "--user=mysql", "--datadir="+data,
		"--socket="+data+"/socket", "--pid-file="+data+"/pid", "--skip-networking", "--performance-schema=off",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--max-connections=300",
		// As deployment tools set it: without locks of gaps, by which creates that have nothing in common end in deadlocks.
		"--transaction-isolation=READ-COMMITTED")
	if err != nil {
		return err
	}
	return c.until(ctx, "mariadb", func(ctx context.Context) error {
		return c.feed(ctx, `create database if not exists keystone character set utf8;
			create database if not exists octavia character set utf8;
			create database if not exists barbican character set utf8;
			create user if not exists lab@localhost identified by '`+Password+`';
			grant all on keystone.* to lab@localhost;
			grant all on octavia.* to lab@localhost;
			grant all on barbican.* to lab@localhost;
			grant process on *.* to lab@localhost;`,
			"mariadb", "--no-defaults", "--socket="+data+"/socket")
	})
}

func (c *Cloud) startRabbit(ctx context.Context) error {
	if err := c.launch("epmd", nil, "epmd"); err != nil {
		return err
	}
	env := []string{
		"HOME=" + c.path("rabbit"), "RABBITMQ_NODENAME=klb@localhost", "RABBITMQ_MNESIA_BASE=" + c.path("rabbit"),
		"RABBITMQ_LOG_BASE=" + c.path("log"), "RABBITMQ_CONFIG_FILE=" + c.path("conf", "rabbitmq.conf"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_ENABLED_PLUGINS_FILE=" + c.path("conf", "enabled_plugins"),
		"RABBITMQ_PID_FILE=" + c.path("rabbit", "pid"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none",
	}
	if err := c.launch("rabbitmq", env, "/usr/lib/rabbitmq/bin/rabbitmq-server"); err != nil {
		return err
	}
	return c.until(ctx, "rabbitmq", c.open("127.0.0.1:5672"))
}

func (c *Cloud) startKeystone(ctx context.Context) error {
	manage := func(args ...string) error {
		return c.run(ctx, append([]string{"keystone-manage", "--config-file", c.path("conf", "keystone.conf")},
			args...)...)
	}
	owner := []string{"--keystone-user", "root", "--keystone-group", "root"}
	for _, args := range [][]string{
		{"db_sync"}, append([]string{"fernet_setup"}, owner...), append([]string{"credential_setup"}, owner...),
		{"bootstrap", "--bootstrap-password", Password, "--bootstrap-region-id", "RegionOne",
			"--bootstrap-public-url", keystoneURL + "/v3", "--bootstrap-internal-url", keystoneURL + "/v3",
			"--bootstrap-admin-url", keystoneURL + "/v3"},
	} {
		if err := manage(args...); err != nil {
			return err
		}
	}
	env := []string{"OS_KEYSTONE_CONFIG_FILES=" + c.path("conf", "keystone.conf")}
	if err := c.launch("keystone", env, uwsgi(keystoneAddress, "/usr/bin/keystone-wsgi-public", 2, 2)...); err != nil {
		return err
	}
	if err := c.until(ctx, "keystone", c.answers(keystoneURL+"/v3")); err != nil {
		return err
	}
	return c.seed(ctx)
}

// startBarbican starts Barbican, which makes its tables by itself.
func (c *Cloud) startBarbican(ctx context.Context) error {
	env := []string{"HOME=" + c.path("conf")}
	if err := c.launch("barbican", env, uwsgi(barbicanAddress, c.path("conf", "barbican.py"), 1, 8)...); err != nil {
		return err
	}
	return c.until(ctx, "barbican", c.answers(barbicanURL+"/"))
}

// uwsgi serves a WSGI program. It closes each connection after the answer, and says so: else a client could send its
// next request into a connection that is just going away.
func uwsgi(address, program string, processes, threads int, args ...string) []string {
	return append([]string{
		"uwsgi_python3", "--master", "--die-on-term", "--http-socket", address, "--wsgi-file", program,
		"--processes", strconv.Itoa(processes), "--threads", strconv.Itoa(threads), "--enable-threads", "--lazy-apps",
		"--need-app", "--buffer-size", "65535", "--add-header", "Connection: close", "--disable-logging",
	}, args...)
}

// startOctavia starts the API, as one process since the no-op network driver keeps its networks in memory, and the
// worker.
func (c *Cloud) startOctavia(ctx context.Context) error {
	err := c.launch("octavia-api", nil, uwsgi(octaviaAddress, c.path("conf", "api.py"), 1, 8,
		"--pyargv", "--config-file "+c.path("conf", "octavia.conf"))...)
	if err != nil {
		return err
	}
	if err := c.StartWorker(ctx, c.options.Worker); err != nil {
		return err
	}
	return c.until(ctx, "octavia-api", c.answers(octaviaURL+"/"))
}

// writeCA makes the authority that signs the amphorae's certificates, which the worker does even where no amphora is.
func (c *Cloud) writeCA() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubectl-lb octavia lab"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return err
	}
	//nolint:staticcheck // Octavia wants a key with a passphrase; this one protects nothing.
	block, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key),
		[]byte(Password), x509.PEMCipherAES256)
	if err != nil {
		return err
	}
	files := map[string]*pem.Block{"ca.pem": {Type: "CERTIFICATE", Bytes: der}, "ca.key": block}
	for name, b := range files {
		if err := os.WriteFile(c.path("ca", name), pem.EncodeToMemory(b), 0o600); err != nil {
			return err
		}
	}
	return nil
}
