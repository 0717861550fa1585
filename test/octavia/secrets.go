package octavia

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// SecretURL is where those who come by way of the gate find a secret of Barbican's.
func (g *Gate) SecretURL(id string) string { return g.base + barbicanPath + "/v1/secrets/" + id }

// StoreCertificate makes a certificate for the name, and puts it into Barbican as docs/octavia.md tells people to: one
// secret, of PKCS #12. It returns the secret's ID.
func (s *Session) StoreCertificate(ctx context.Context, name string) (string, error) {
	bundle, err := makeBundle(ctx, name)
	if err != nil {
		return "", fmt.Errorf("certificate of %s: %w", name, err)
	}
	body, err := json.Marshal(map[string]string{
		"name": name, "payload": base64.StdEncoding.EncodeToString(bundle),
		"payload_content_type": "application/octet-stream", "payload_content_encoding": "base64",
	})
	if err != nil {
		return "", err
	}
	status, text, err := s.send(ctx, http.MethodPost, s.gate.base+barbicanPath+"/v1/secrets", string(body))
	if err != nil {
		return "", err
	}
	if status != http.StatusCreated {
		return "", fmt.Errorf("certificate of %s: %d: %s", name, status, text)
	}
	var answer struct {
		Ref string `json:"secret_ref"`
	}
	err = json.Unmarshal(text, &answer)
	return path.Base(answer.Ref), err
}

// makeBundle makes a certificate with its key, as PKCS #12 without a passphrase.
func makeBundle(ctx context.Context, name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		text.Write(pem.EncodeToMemory(block))
	}
	dir, err := os.MkdirTemp("", "kubectl-lb-octavia-pkcs12-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pair.pem") // openssl reads it twice
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "openssl", "pkcs12", "-export", "-in", file, "-passout", "pass:").Output()
}
