// Package certtest makes certificates for tests and benches. They are worth nothing anywhere else.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"
	"time"
)

// Pair is a certificate with its key, as PEM.
type Pair struct {
	Cert, Key []byte

	leaf   *x509.Certificate
	signer crypto.Signer
}

// Options are what a certificate is to be. The zero value is valid from an hour ago for a year.
type Options struct {
	// Names are its DNS names.
	Names []string
	// CommonName is in its subject.
	CommonName string
	From, To   time.Time
	// Signer signs it; nil makes it sign itself.
	Signer *Pair
	// CA lets it sign others.
	CA bool
	// Key is its own; nil makes an ECDSA one.
	Key crypto.Signer
}

// serials number the certificates of a test's process; OpenSSL takes two of one number for one.
var serials atomic.Int64 //nolint:gochecknoglobals // it is the process's

// New makes a certificate for DNS names that signs itself.
func New(tb testing.TB, names ...string) Pair {
	tb.Helper()
	return Make(tb, Options{Names: names})
}

// Authority makes a certificate that signs others.
func Authority(tb testing.TB, name string) Pair {
	tb.Helper()
	return Make(tb, Options{CommonName: name, CA: true})
}

// Make makes a certificate.
func Make(tb testing.TB, o Options) Pair {
	tb.Helper()
	p, err := Generate(o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Generate makes a certificate where there is no test: for a bench.
func Generate(o Options) (Pair, error) {
	var err error
	if o.Key == nil {
		if o.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return Pair{}, fmt.Errorf("make a key: %w", err)
		}
	}
	if o.From.IsZero() {
		o.From = time.Now().Add(-time.Hour)
	}
	if o.To.IsZero() {
		o.To = o.From.AddDate(1, 0, 0)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano() + serials.Add(1)), Subject: pkix.Name{CommonName: o.CommonName},
		NotBefore: o.From, NotAfter: o.To, DNSNames: o.Names, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if o.CA {
		template.IsCA, template.BasicConstraintsValid, template.ExtKeyUsage = true, true, nil
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := template, o.Key
	if o.Signer != nil {
		parent, signer = o.Signer.leaf, o.Signer.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, o.Key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, fmt.Errorf("make a certificate: %w", err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(o.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), leaf: leaf, signer: o.Key,
	}, nil
}

// Serial tells certificates apart.
func (p Pair) Serial() string { return p.leaf.SerialNumber.String() }

// Pool trusts the certificate.
func (p Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.leaf)
	return pool
}

// TLS returns the pair for a client or server of Go's.
func (p Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.leaf.Raw}, PrivateKey: p.signer, Leaf: p.leaf}
}
