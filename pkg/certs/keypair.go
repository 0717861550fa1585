package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// TypeTLS is the type of the Secrets that hold a certificate and its key, and their keys.
const (
	TypeTLS = "kubernetes.io/tls"
	KeyCert = "tls.crt"
	KeyKey  = "tls.key"
	KeyCA   = "ca.crt"
)

// The bounds of what is read. nginx reads a chain at every handshake.
const (
	maxChain = 10
	maxText  = 128 << 10
	maxNames = 256
	minRSA   = 2048
	// maxRSA and maxKey (in bytes of DER) bound what a key may cost those who read it: one of 128 KiB takes seconds of the
	// controller's, and at each handshake of the nodes that others use too. Cloud load balancers take no larger ones
	// either.
	maxRSA = 4096
	maxKey = 4 << 10
)

// KeyPair is a certificate chain with its key, fit to be served.
type KeyPair struct {
	// PEM is the chain and then the key, in one text, so that they can never be of two versions.
	PEM []byte
	// Digest tells versions apart; it is over the chain only.
	Digest string
	// Names are the DNS names that the certificate is for, sorted, in lower case.
	Names []string
	// Omitted is how many more it is for: a certificate's names are cut at 256, in their order.
	Omitted int
	// NotBefore and NotAfter bound its validity.
	NotBefore, NotAfter time.Time
}

// ParseKeyPair reads tls.crt and tls.key of a Secret. Its error is a [*ProblemError]. The certificate may have expired.
func ParseKeyPair(chain, key []byte) (KeyPair, error) {
	certs, problem := parseChain(chain)
	if problem != nil {
		return KeyPair{}, problem
	}
	if problem := parseLeaf(certs); problem != nil {
		return KeyPair{}, problem
	}
	signer, problem := parseKey(key)
	if problem != nil {
		return KeyPair{}, problem
	}
	if problem := matching(certs, signer); problem != nil {
		return KeyPair{}, problem
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return KeyPair{}, problemf(lb.CodeCertMalformed, "has a %s of an unknown kind", KeyKey)
	}
	all := names(certs[0])
	text := encode(certs)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return KeyPair{
		PEM: text, Digest: digest(certs), Names: all[:min(len(all), maxNames)],
		Omitted:   max(0, len(all)-maxNames),
		NotBefore: certs[0].NotBefore.UTC(), NotAfter: certs[0].NotAfter.UTC(),
	}, nil
}

// parseChain reads certificates. What is between the blocks is left out.
func parseChain(text []byte) ([]*x509.Certificate, *ProblemError) {
	certs, why := parseCertificates(text, KeyCert, maxChain)
	if why != "" {
		return nil, problemf(lb.CodeCertMalformed, "%s", why)
	}
	return certs, nil
}

// parseLeaf says why TLS libraries would not serve a chain. OpenSSL's own bounds are Debian's (SECLEVEL 2).
func parseLeaf(certs []*x509.Certificate) *ProblemError {
	leaf := certs[0]
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return problemf(lb.CodeCertMalformed, "has an RSA key of %d bits; make one of %d at least", k.N.BitLen(), minRSA)
		}
		if k.N.BitLen() > maxRSA {
			return problemf(lb.CodeCertMalformed, "has an RSA key of %d bits; make one of %d at most", k.N.BitLen(), maxRSA)
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return problemf(lb.CodeCertMalformed, "has a key on a curve of %d bits; make one of 256 at least",
				k.Curve.Params().BitSize)
		}
	case ed25519.PublicKey:
	default:
		return problemf(lb.CodeCertMalformed, "has a key that is neither RSA nor ECDSA nor Ed25519; make another one")
	}
	for i, c := range certs {
		selfSigned := bytes.Equal(c.RawSubject, c.RawIssuer)
		if weak(c.SignatureAlgorithm) && !selfSigned {
			return problemf(lb.CodeCertMalformed, "has a certificate (number %d of %s) that is signed with %s, which no client "+
				"believes; have a new one issued", i+1, KeyCert, c.SignatureAlgorithm)
		}
	}
	return nil
}

func weak(a x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{
		x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1,
		x509.DSAWithSHA256, x509.ECDSAWithSHA1,
	}, a)
}

// parseKey reads the one private key of a text.
func parseKey(text []byte) (crypto.Signer, *ProblemError) {
	if len(text) > maxText {
		return nil, problemf(lb.CodeCertMalformed, "has a %s of more than %d bytes", KeyKey, maxText)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, problemf(lb.CodeCertMalformed, "has a %s with a passphrase; give it without", KeyKey)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && len(block.Bytes) > maxKey:
			// not even looked at
		case block.Type == "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case block.Type == "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue // such as EC PARAMETERS
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok { // the error's words could tell of the key
			return nil, problemf(lb.CodeCertMalformed, "has a %s that cannot be read; give a key of RSA, ECDSA or "+
				"Ed25519 in PEM", KeyKey)
		}
		return signer, nil
	}
	return nil, problemf(lb.CodeCertMalformed, "has no private key in PEM under %s", KeyKey)
}

// matching says whose key it is, if not that of the first certificate.
func matching(certs []*x509.Certificate, key crypto.Signer) *ProblemError {
	public, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return problemf(lb.CodeCertMalformed, "has a %s of an unknown kind", KeyKey)
	}
	for i, c := range certs {
		switch {
		case !public.Equal(c.PublicKey):
		case i == 0:
			return nil
		default:
			return problemf(lb.CodeKeyMismatch, "has the key of certificate number %d of %s; put that one first", i+1, KeyCert)
		}
	}
	return problemf(lb.CodeKeyMismatch, "has a %s that does not belong to its %s; give the two that were made together",
		KeyKey, KeyCert)
}

func encode(certs []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// digest is 128 bits over the certificates, which have their length in themselves.
func digest(certs []*x509.Certificate) string {
	h := sha256.New()
	for _, c := range certs {
		h.Write(c.Raw)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// namePattern is a DNS name, or all names one label below one.
var namePattern = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// longLabel is what no name has (RFC 1035, 2.3.4), and no node takes.
var longLabel = regexp.MustCompile(`[^.]{64}`)

// names returns the DNS names of a certificate that a host could match. Its common name counts for nothing: no client
// looks at it any more.
func names(c *x509.Certificate) []string {
	var out []string
	for _, n := range c.DNSNames {
		if n = strings.ToLower(n); len(n) <= 253 && namePattern.MatchString(n) && !longLabel.MatchString(n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
