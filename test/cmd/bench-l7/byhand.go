package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// minimal is what anybody would write who wants the work done fast, and no more.
const minimal = `load_module %[1]s;
daemon off;
user www-data;
worker_processes auto;
pid %[2]s/nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    access_log off;
    upstream target { server 127.0.0.1:%[3]d; keepalive 16; }
    server {
        listen 127.0.0.1:%[4]d backlog=4096;
        location / {
            proxy_pass http://target;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
stream {
    server {
        listen 127.0.0.1:%[5]d backlog=4096;
        proxy_pass 127.0.0.1:%[3]d;
    }
}
`

func writeByHand(dir string, p ports) error {
	text := fmt.Sprintf(minimal, streamModule, dir, p.target, p.byHandHTTP, p.byHandTCP)
	return os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o644)
}

// writeTarget writes the server behind both: it answers 1 KiB at once.
func writeTarget(dir string, p ports) error {
	text := fmt.Sprintf(`daemon off;
user www-data;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
http {
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    access_log off;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:%[2]d backlog=4096;
        location / { return 200 "%[3]s"; }
    }
}
`, dir, p.target, strings.Repeat("x", 1024))
	return os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o644)
}

// start starts an nginx and returns what stops it.
func start(ctx context.Context, dir string) (stop func(), err error) {
	cmd := exec.CommandContext(ctx, "nginx", "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	log, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}, nil
}

// untilListens waits for a port of the loopback.
func untilListens(ctx context.Context, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
