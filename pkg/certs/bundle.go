package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// maxBundle is how many certificates a bundle may have; all of the web's authorities are 150.
const maxBundle = 300

// maxBundleText is the length of a bundle in bytes.
const maxBundleText = 512 << 10

// Bundle are the certificates of authorities.
type Bundle struct {
	PEM    []byte
	Digest string
}

// ParseBundle reads ca.crt. Its error is a [*ProblemError].
func ParseBundle(text []byte) (Bundle, error) {
	if len(text) == 0 {
		return Bundle{}, problemf(lb.CodeBundleMalformed, "has no key %s with certificates in PEM; add it", KeyCA)
	}
	certs, why := parseCertificates(text, KeyCA, maxBundle)
	if why != "" {
		return Bundle{}, problemf(lb.CodeBundleMalformed, "%s", why)
	}
	return Bundle{PEM: encode(certs), Digest: digest(certs)}, nil
}

// parseCertificates reads at least one certificate, or says why not.
func parseCertificates(text []byte, key string, most int) (certs []*x509.Certificate, why string) {
	if len(text) > maxBundleText {
		return nil, fmt.Sprintf("has a %s of %d bytes; at most %d are read", key, len(text), maxBundleText)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(certs) == most {
			return nil, fmt.Sprintf("has more than %d certificates under %s", most, key)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Sprintf("has a certificate (number %d of %s) that cannot be read: %.100q", len(certs)+1, key,
				err.Error())
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, "has no certificate in PEM under " + key
	}
	return certs, ""
}

// CertificateName returns what the nodes keep the certificate of a Secret under: a name that is the same for the same
// Secret, and legal wherever a name is needed.
func CertificateName(secret lb.Key) string {
	return materialName(lb.KindSecret + "/" + secret.String())
}

// BundleName returns the same for the bundle of an object. It is never that of a certificate: one Secret may have
// both, as those of cert-manager do.
func BundleName(kind string, key lb.Key) string {
	return materialName("bundle/" + kind + "/" + key.String())
}

func materialName(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "lb-tls-" + hex.EncodeToString(sum[:10])
}
