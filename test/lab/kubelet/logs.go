package kubelet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// serveLogs answers the API server's requests for `kubectl logs` on the node's address. Anyone in the lab may ask.
func (k *Kubelet) serveLogs(ctx context.Context, n *node) {
	err := k.listenLogs(ctx, n)
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		k.opts.Log.Warn("no logs of the node's pods", "node", n.Name, "error", err)
	}
}

func (k *Kubelet) listenLogs(ctx context.Context, n *node) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	var listener net.Listener
	err = netspace.Do(netspace.Path(n.Namespace), func() error {
		var err error
		listener, err = net.Listen("tcp", netip.AddrPortFrom(n.Address, kubeletPort).String())
		return err
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		path, ok := k.logFile(n, r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		if err := sendLog(w, r, path); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	unlink := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer unlink()
	return server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}}))
}

func (k *Kubelet) logFile(n *node, namespace, pod, container string) (string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.pods {
		if r.node == n && r.spec.Namespace == namespace && r.spec.Name == pod {
			if c := r.find(container); c != nil {
				return c.logPath(), true
			}
		}
	}
	return "", false
}

// sendLog honours tailLines, limitBytes and follow; timestamps and times are not kept.
func sendLog(w http.ResponseWriter, r *http.Request, path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing said yet
	}
	if err != nil {
		return err
	}
	offset := len(data)
	query := r.URL.Query()
	if n, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		data = lastLines(data, n)
	}
	if n, err := strconv.Atoi(query.Get("limitBytes")); err == nil && n < len(data) {
		data = data[:n]
	}
	_, err = w.Write(data)
	if err == nil && query.Get("follow") == "true" {
		follow(w, r, path, int64(offset))
	}
	return err
}

func follow(w http.ResponseWriter, r *http.Request, path string, offset int64) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return
	}
	control := http.NewResponseController(w)
	for {
		if _, err := io.Copy(w, f); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func lastLines(data []byte, n int) []byte {
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; last >= 0 && lines[last] == "" {
		lines = lines[:last]
	}
	return []byte(strings.Join(lines[max(0, len(lines)-n):], ""))
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("kubelet certificate: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("kubelet certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
