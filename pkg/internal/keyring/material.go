package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// Material is everything that the controller has handed out.
type Material struct {
	// Certificates are keys with their chains, as one text, by the name of their [lb.Material].
	Certificates map[string][]byte
	// Bundles are certificates of authorities, likewise.
	Bundles map[string][]byte
	// Tickets are the keys of session tickets, the first to make tickets with.
	Tickets [][]byte
}

// ticketSize is the size of a key in bytes that makes nginx use AES-256.
const ticketSize = 80

// file is one to be on the disk.
type file struct {
	name string
	data []byte
	// shared files are the workers' to read.
	shared bool
}

// files returns the single files of the material and the certificates, which have two each. What is unfit is left out,
// and said.
func (m Material) files() (single, certificates []file, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(m.Certificates)) {
		pair, err := certs.ParseKeyPair(m.Certificates[name], m.Certificates[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate %s %w", name, err))
			continue
		}
		certificates = append(certificates, file{name: name, data: pair.PEM, shared: true})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Bundles)) {
		bundle, err := certs.ParseBundle(m.Bundles[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("bundle %s %w", name, err))
			continue
		}
		path := nginx.BundleFile(lb.Material{Name: name, Digest: bundle.Digest})
		single = append(single, file{name: path, data: bundle.PEM, shared: true})
	}
	for i, name := range m.ticketFiles() {
		single = append(single, file{name: name, data: m.Tickets[i]})
	}
	for _, f := range slices.Concat(single, certificates) {
		if strings.ContainsAny(f.name, "/") || strings.HasPrefix(f.name, ".") {
			return nil, nil, fmt.Errorf("%q is no name for material", f.name)
		}
	}
	return single, certificates, errors.Join(errs...)
}

// ticketFiles returns the names of the ticket keys' files; none where a key is not one.
func (m Material) ticketFiles() []string {
	h := sha256.New()
	for _, key := range m.Tickets {
		if len(key) != ticketSize {
			return nil
		}
		h.Write(key)
	}
	digest := hex.EncodeToString(h.Sum(nil)[:8])
	var names []string
	for i := range m.Tickets {
		names = append(names, fmt.Sprintf("%s%s.%d.key", ticketPrefix, digest, i))
	}
	return names
}

const ticketPrefix = "tickets-"

// filesOf returns the names of the files that a load balancer needs.
func filesOf(l lb.LoadBalancer) []string {
	var names []string
	for _, c := range l.Certificates() {
		for slot := range nginx.Slots {
			names = append(names, nginx.CertificateFile(c.Material, slot))
		}
	}
	for _, b := range l.CABundles() {
		names = append(names, nginx.BundleFile(b.Material))
	}
	return names
}
