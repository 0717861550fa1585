package octavia

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// SecretURL is where the lab's Octavia thinks a certificate of Barbican's is. There is no Barbican: Octavia's local
// certificate manager takes a reference for the name of a file.
func SecretURL(id string) string { return "https://barbican.example.com/v1/secrets/" + id }

// StoreCertificate makes a certificate for the name, which Octavia finds at the URL.
func (c *Cloud) StoreCertificate(url, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	base := c.path("lib", url)
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return fmt.Errorf("certificate %s: %w", url, err)
	}
	for end, block := range map[string]*pem.Block{
		".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(base+end, pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("certificate %s: %w", url, err)
		}
	}
	return nil
}
