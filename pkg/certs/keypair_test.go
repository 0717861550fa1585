package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

func TestParseKeyPair(t *testing.T) {
	ca := certtest.Authority(t, "ca")
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string]certtest.Pair{
		"ecdsa":   certtest.New(t, "B.example.com", "a.example.com", "*.eu.example.com", "a.example.com", "no_name", "x y"),
		"ed25519": certtest.Make(t, certtest.Options{Key: ed, Signer: &ca}),
		"rsa":     certtest.Make(t, certtest.Options{Key: wide, Names: []string{"r"}, Signer: &ca}),
	} {
		t.Run(name, func(t *testing.T) {
			text := slices.Concat([]byte("Bag Attributes\n"), pair.Cert, []byte("\n\n"), ca.Cert)
			got, err := ParseKeyPair(text, pair.Key)
			if err != nil {
				t.Fatal(err)
			}
			// Go reads what OpenSSL is to read: key and chain of one text.
			both, err := tls.X509KeyPair(got.PEM, got.PEM)
			if err != nil || len(both.Certificate) != 2 {
				t.Errorf("%d certificates, %v", len(both.Certificate), err)
			}
			if bytes.Contains(got.PEM, []byte("Bag")) || len(got.Digest) != 32 {
				t.Errorf("digest %q, text\n%s", got.Digest, got.PEM)
			}
			again, err := ParseKeyPair(slices.Concat(pair.Cert, ca.Cert), pair.Key)
			if err != nil || again.Digest != got.Digest || !bytes.Equal(again.PEM, got.PEM) {
				t.Errorf("the same material is another: %v", err)
			}
		})
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("name-%d.example.com", i))
	}
	long := certtest.New(t, many...)
	one, err := ParseKeyPair(long.Cert, long.Key)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseKeyPair(one.PEM, one.PEM); err != nil || !bytes.Equal(again.PEM, one.PEM) {
		t.Errorf("a long certificate in one text with its key: %v", err)
	}
	got, err := ParseKeyPair(split(certtest.New(t, "B.example.com", "a.b", "*.c.d", "a.b", "no_name",
		strings.Repeat("x", 64)+".example.com")))
	if want := []string{"*.c.d", "a.b", "b.example.com"}; err != nil || !slices.Equal(got.Names, want) {
		t.Errorf("names %q, %v", got.Names, err)
	}
}

// composite makes what looks like a key of RSA and took no search for primes. Go reads it: it asks for the relations of
// the numbers only.
func composite(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	half := func() *big.Int {
		for {
			n, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, uint(bits/2-2)))
			if err != nil {
				t.Fatal(err)
			}
			n.SetBit(n.SetBit(n.SetBit(n, bits/2-1, 1), bits/2-2, 1), 0, 1)
			if new(big.Int).GCD(nil, nil, new(big.Int).Sub(n, one), e).Cmp(one) == 0 {
				return n
			}
		}
	}
	p, q := half(), half()
	for new(big.Int).GCD(nil, nil, p, q).Cmp(one) != 0 {
		q = half()
	}
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	both := new(big.Int).Mul(p1, q1)
	d := new(big.Int).ModInverse(e, both.Div(both, new(big.Int).GCD(nil, nil, p1, q1)))
	der, err := asn1.Marshal(struct { // RFC 8017, A.1.2
		Version             int
		N                   *big.Int
		E                   int
		D, P, Q, Dp, Dq, Qi *big.Int
	}{0, new(big.Int).Mul(p, q), 65537, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), new(big.Int).ModInverse(q, p)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Every fault has its code, says what to do, and tells nothing of the key.
func TestBadKeyPairs(t *testing.T) {
	ca, pair, other := certtest.Authority(t, "ca"), certtest.New(t, "a.b"), certtest.New(t, "a.b")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	huge := certtest.Make(t, certtest.Options{Key: composite(t, 4608), Signer: &ca})
	endless := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(composite(t, 32768))})
	weakKey := certtest.Make(t, certtest.Options{Key: small})
	weakCurve := certtest.Make(t, certtest.Options{Key: curve})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})
	locked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}})
	for name, tt := range map[string]struct {
		cert, key []byte
		code      lb.Code
		says      string
	}{
		"nothing":         {nil, nil, lb.CodeCertMalformed, "no certificate in PEM under tls.crt"},
		"no key":          {pair.Cert, nil, lb.CodeCertMalformed, "no private key"},
		"no PEM":          {[]byte("hello"), pair.Key, lb.CodeCertMalformed, "no certificate"},
		"broken":          {broken, pair.Key, lb.CodeCertMalformed, "number 1 of tls.crt"},
		"broken chain":    {slices.Concat(pair.Cert, broken), pair.Key, lb.CodeCertMalformed, "number 2 of tls.crt"},
		"broken key":      {pair.Cert, bytes.ReplaceAll(broken, []byte("CERTIFICATE"), []byte("PRIVATE KEY")), lb.CodeCertMalformed, "cannot be read"},
		"passphrase":      {pair.Cert, locked, lb.CodeCertMalformed, "passphrase"},
		"new passphrase":  {pair.Cert, bytes.ReplaceAll(broken, []byte("CERTIFICATE"), []byte("ENCRYPTED PRIVATE KEY")), lb.CodeCertMalformed, "passphrase"},
		"other key":       {pair.Cert, other.Key, lb.CodeKeyMismatch, "does not belong"},
		"wrong order":     {slices.Concat(ca.Cert, pair.Cert), pair.Key, lb.CodeKeyMismatch, "number 2 of tls.crt; put that one first"},
		"small key":       {weakKey.Cert, weakKey.Key, lb.CodeCertMalformed, "1024 bits"},
		"huge key":        {huge.Cert, huge.Key, lb.CodeCertMalformed, "RSA key of 4608 bits; make one of 4096 at most"},
		"another's huge":  {pair.Cert, endless, lb.CodeCertMalformed, "cannot be read"},
		"small curve":     {weakCurve.Cert, weakCurve.Key, lb.CodeCertMalformed, "224 bits"},
		"long chain":      {bytes.Repeat(pair.Cert, maxChain+1), pair.Key, lb.CodeCertMalformed, "more than 10"},
		"long text":       {bytes.Repeat([]byte("x"), maxBundleText+1), pair.Key, lb.CodeCertMalformed, "bytes"},
		"long key":        {pair.Cert, bytes.Repeat([]byte("x"), maxText+1), lb.CodeCertMalformed, "bytes"},
		"key as the cert": {pair.Key, pair.Key, lb.CodeCertMalformed, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseKeyPair(tt.cert, tt.key)
			problem, ok := errors.AsType[*ProblemError](err)
			if !ok || problem.Code != tt.code || !strings.Contains(problem.Text, tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestParseBundle(t *testing.T) {
	a, b := certtest.Authority(t, "a"), certtest.Authority(t, "b")
	got, err := ParseBundle(slices.Concat([]byte("# ours\n"), a.Cert, b.Cert))
	if err != nil || len(got.Digest) != 32 || bytes.Contains(got.PEM, []byte("ours")) {
		t.Errorf("%+v, %v", got, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(got.PEM) {
		t.Error("it is no bundle")
	}
	for says, text := range map[string][]byte{
		"no key ca.crt": nil, "no certificate in PEM under ca.crt": a.Key, "number 2": slices.Concat(a.Cert, pem.EncodeToMemory(
			&pem.Block{Type: "CERTIFICATE"})), "more than 300": bytes.Repeat(a.Cert, 301),
	} {
		_, err := ParseBundle(text)
		problem, ok := errors.AsType[*ProblemError](err)
		if !ok || problem.Code != lb.CodeBundleMalformed || !strings.Contains(problem.Text, says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

// FuzzParse holds against any text: no panic, and what passes is read by TLS libraries and is the same when read again.
func FuzzParse(f *testing.F) {
	pair, ca := certtest.New(f, "a.b"), certtest.Authority(f, "ca")
	f.Add(pair.Cert, pair.Key)
	f.Add(slices.Concat(pair.Cert, ca.Cert), pair.Key)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"), []byte("-----BEGIN PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		if got, err := ParseKeyPair(cert, key); err == nil {
			if _, err := tls.X509KeyPair(got.PEM, got.PEM); err != nil {
				t.Errorf("it passed, but %v", err)
			}
			again, err := ParseKeyPair(got.PEM, got.PEM)
			if err != nil || !bytes.Equal(again.PEM, got.PEM) || again.Digest != got.Digest {
				t.Errorf("what was written is read otherwise: %v", err)
			}
		} else if bytes.Contains(key, []byte("\n")) && len(key) > 64 && strings.Contains(err.Error(), string(key[32:64])) {
			t.Errorf("the error tells of the key: %v", err)
		}
		if got, err := ParseBundle(cert); err == nil {
			again, err := ParseBundle(got.PEM)
			if err != nil || !bytes.Equal(again.PEM, got.PEM) {
				t.Errorf("what was written is read otherwise: %v", err)
			}
		}
	})
}

func split(p certtest.Pair) (cert, key []byte) { return p.Cert, p.Key }
