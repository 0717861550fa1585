package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// scratch are the directories that an nginx wants for itself.
const scratch = `    client_body_temp_path {{.Dir}}/body;
    proxy_temp_path {{.Dir}}/proxy;
    fastcgi_temp_path {{.Dir}}/fastcgi;
    uwsgi_temp_path {{.Dir}}/uwsgi;
    scgi_temp_path {{.Dir}}/scgi;
    access_log off;
`

// process begins each configuration.
const process = `daemon off;
user www-data;
worker_processes auto;
pid {{.Dir}}/nginx.pid;
error_log stderr crit;
events { worker_connections 16384; }
`

// tlsByHand are the protocols, ciphers and ways to resume that ours has.
const tlsByHand = `    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:` +
	`ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
    ssl_prefer_server_ciphers off;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1h;
    ssl_session_ticket_key {{.Ticket}};
`

// minimal is what anybody would write who wants the work done fast, and no more: services get to know what ours tell
// them, and streams notice a dead peer and pass on that one side has ended. Two servers, Bare and BareTCP, do less.
const minimal = `load_module {{.Module}};
` + process + `http {
` + scratch + tlsByHand + `    upstream target { server 127.0.0.1:{{.Ports.Target}}; keepalive 16; }
    map $http_upgrade $connection_upgrade {
        default upgrade;
        "" "";
    }
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header Forwarded "for=$remote_addr;proto=$scheme";
    proxy_set_header X-Request-ID $request_id;
    server {
        listen 127.0.0.1:{{.Ports.Bare}} backlog=4096;
        location / {
            proxy_pass http://target;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
        }
    }
    server {
        listen 127.0.0.1:{{.Ports.HTTP}} backlog=4096;
        location / { proxy_pass http://target; }
    }
    server {
        listen 127.0.0.1:{{.Ports.HTTPS}} ssl http2 backlog=4096;
        ssl_certificate {{.Certificate}};
        ssl_certificate_key {{.Certificate}};
        location / { proxy_pass http://target; }
    }
}
stream {
    server {
        listen 127.0.0.1:{{.Ports.TCP}} backlog=4096 so_keepalive=5m:15s:4;
        proxy_socket_keepalive on;
        proxy_half_close on;
        proxy_pass 127.0.0.1:{{.Ports.Target}};
    }
    server {
        listen 127.0.0.1:{{.Ports.BareTCP}} backlog=4096;
        proxy_pass 127.0.0.1:{{.Ports.Target}};
    }
}
`

// manyByHand has a server for each of many certificates, and answers a redirect.
const manyByHand = process + `http {
` + scratch + tlsByHand + `{{range .Hosts}}    server {
        listen {{.At}} ssl http2 backlog=4096;
        ssl_certificate {{.Certificate}};
        ssl_certificate_key {{.Certificate}};
        return 308 https://$host$request_uri;
    }
{{end}}}
`

// answering is the server behind all: it answers 1 KiB at once.
const answering = process + `http {
` + scratch + `    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:{{.Ports.Target}} backlog=4096;
        location / { return 200 "{{.Body}}"; }
    }
}
`

// byHand is what a configuration by hand is filled in with.
type byHand struct {
	Dir, Module, Body   string
	Certificate, Ticket string
	Ports               ports
	Hosts               []host
}

// host is one of many servers by hand.
type host struct{ At, Certificate string }

// body is what the target answers.
func body() string { return strings.Repeat("x", 1024) }

// write makes the nginx.conf of a directory.
func (h byHand) write(text string) error {
	t, err := template.New("nginx.conf").Parse(text)
	if err != nil {
		return err
	}
	var conf strings.Builder
	if err := t.Execute(&conf, h); err != nil {
		return fmt.Errorf("a configuration by hand: %w", err)
	}
	if err := os.MkdirAll(h.Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.Dir, confName), []byte(conf.String()), 0o644)
}
