package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// serverName is what all certificates are for.
const serverName = "bench.example.com"

// ticketName is the file of the key of session tickets.
const ticketName = "tickets-0.0.key"

// keys is a directory of certificates, in files as a daemon keeps them, and of a key of session tickets.
type keys struct {
	dir       string
	materials []lb.Material
}

// makeKeys makes so many certificates.
func makeKeys(dir string, n int) (keys, error) {
	k := keys{dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return k, err
	}
	ticket := make([]byte, 80)
	if _, err := rand.Read(ticket); err != nil {
		return k, err
	}
	if err := os.WriteFile(k.ticket(), ticket, 0o600); err != nil {
		return k, err
	}
	for i := range n {
		made, err := certtest.Generate(certtest.Options{Names: []string{serverName}})
		if err != nil {
			return k, err
		}
		pair, problem := certs.ParseKeyPair(made.Cert, made.Key)
		if problem != nil {
			return k, problem
		}
		m := lb.Material{Name: fmt.Sprintf("certificate-%d", i), Digest: pair.Digest}
		k.materials = append(k.materials, m)
		for slot := range nginx.Slots {
			// The workers read them; they open nothing but this bench.
			if err := os.WriteFile(filepath.Join(dir, nginx.CertificateFile(m, slot)), pair.PEM, 0o644); err != nil {
				return k, err
			}
		}
	}
	return k, nil
}

// path is a file with a certificate and its key.
func (k keys) path(i int) string {
	return filepath.Join(k.dir, nginx.CertificateFile(k.materials[i], 0))
}

func (k keys) ticket() string { return filepath.Join(k.dir, ticketName) }

// tls is what a listener with a certificate has.
func (k keys) tls(i int) *lb.TLS {
	return &lb.TLS{Certificates: []lb.Certificate{{
		Secret: k.materials[i].Name, Material: k.materials[i], Names: []string{serverName},
	}}}
}
