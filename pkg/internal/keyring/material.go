package keyring

import (
	"bytes"
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

// judged is what became of a certificate or bundle as it was handed out.
type judged struct {
	text []byte
	file file
	err  error
}

// judge looks at a text, unless it is the one of before: all that is handed out comes again with every change of
// anything, and to look at a key of RSA takes a thousand times longer than to compare it.
func (before *judged) judge(text []byte, look func() (file, error)) *judged {
	if before != nil && bytes.Equal(before.text, text) {
		return before
	}
	now := &judged{text: text}
	now.file, now.err = look()
	now.file.shared = true
	return now
}

// verdicts are what is known of certificates and bundles, by their names.
type verdicts struct{ certificates, bundles map[string]*judged }

// files returns the single files of the material and the certificates, which have two each. What is unfit is left out,
// and said. It remembers what it has seen of this material, and nothing else.
func (v *verdicts) files(m Material) (single, certificates []file, errs []error) {
	now := verdicts{map[string]*judged{}, map[string]*judged{}}
	for _, name := range slices.Sorted(maps.Keys(m.Certificates)) {
		text := m.Certificates[name]
		j := v.certificates[name].judge(text, func() (file, error) {
			pair, err := certs.ParseKeyPair(text, text)
			return file{name: name, data: pair.PEM}, err
		})
		if now.certificates[name] = j; j.err != nil {
			errs = append(errs, fmt.Errorf("certificate %s %w", name, j.err))
			continue
		}
		certificates = append(certificates, j.file)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Bundles)) {
		text := m.Bundles[name]
		j := v.bundles[name].judge(text, func() (file, error) {
			bundle, err := certs.ParseBundle(text)
			return file{name: nginx.BundleFile(lb.Material{Name: name, Digest: bundle.Digest}), data: bundle.PEM}, err
		})
		if now.bundles[name] = j; j.err != nil {
			errs = append(errs, fmt.Errorf("bundle %s %w", name, j.err))
			continue
		}
		single = append(single, j.file)
	}
	*v = now
	for i, name := range m.ticketFiles() {
		single = append(single, file{name: name, data: m.Tickets[i]})
	}
	for _, f := range slices.Concat(single, certificates) {
		if strings.ContainsAny(f.name, "/") || strings.HasPrefix(f.name, ".") {
			return nil, nil, []error{fmt.Errorf("%q is no name for material", f.name)}
		}
	}
	return single, certificates, errs
}

// maxTold is how many faults of material are told one by one.
const maxTold = 10

// join makes one error of many, and a short one of thousands.
func join(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if more := len(errs) - maxTold; more > 0 {
		errs = append(errs[:maxTold], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
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
