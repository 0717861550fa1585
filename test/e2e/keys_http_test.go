package e2e

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// post sends a body of zeros and returns the status and how long it took.
func post(t *testing.T, address string, size int64) (int, time.Duration) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, io.LimitReader(zeros{}, size))
	must(t, err)
	began := time.Now()
	c := client(nil)
	c.Timeout = 2 * answerTime
	res, err := c.Do(req)
	if err != nil {
		t.Errorf("%s: %v", address, err)
		return 0, time.Since(began)
	}
	defer res.Body.Close()
	return res.StatusCode, time.Since(began)
}

// zeros is a text without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestTimeouts: a backend that accepts no connection is given up after connect-timeout, by HTTP and TCP, and one that
// takes nothing in after send-timeout.
func TestTimeouts(t *testing.T) {
	full := net.TCPAddrFromAddrPort(stuffed(t))
	deaf := outsider(t)
	go func() {
		for {
			c, err := deaf.Accept()
			if err != nil {
				return
			}
			defer c.Close() //nolint:gocritic // they stay open, and nobody reads them
		}
	}()
	apply(t, outsiderService(t, "stuffed", full)+"---\n"+outsiderService(t, "deaf", deaf.Addr()))
	silent(t, "stuffed")
	ip := serve(t, "stuffed", "target-service-name: stuffed", "ports: 80:http/HTTP, 81:http/TCP", "connect-timeout: 1s")
	began := time.Now()
	if code, _, body := fetch(t, ip+":80/", "x"); code != http.StatusGatewayTimeout {
		t.Errorf("HTTP: %d %q", code, body)
	}
	if took := time.Since(began); took < 900*time.Millisecond || took > 4*time.Second { // without the key it is 5 s
		t.Errorf("HTTP was given up after %s", took)
	}
	began = time.Now()
	if got := exchange(t, "tcp", ip+":81", "x", "x"); !strings.HasSuffix(got, "EOF") && !strings.Contains(got, "reset") {
		t.Errorf("TCP: %q", got)
	}
	if took := time.Since(began); took < 900*time.Millisecond || took > 4*time.Second {
		t.Errorf("TCP was given up after %s", took)
	}
	slow := serve(t, "deaf", "target-service-name: deaf", "protocol: HTTP", "send-timeout: 1s")
	code, took := post(t, slow+":80/", 64<<20)
	if code != http.StatusGatewayTimeout || took < 900*time.Millisecond {
		t.Errorf("a body that nobody reads: %d after %s", code, took)
	}
}

// silent waits until nobody answers at a Service's cluster IP on any load-balancer node: until kube-proxy has heard of the
// Service, a connection is refused there.
func silent(t *testing.T, name string) {
	t.Helper()
	service, err := shared.Client.CoreV1().Services("default").Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	for _, node := range shared.LBNodes() {
		must(t, rig.Wait(t.Context(), 30*time.Second, name+" to be silent on "+node, func() (bool, string) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := shared.Get(ctx, node, "http://"+service.Spec.ClusterIP+"/")
			return errors.Is(err, context.DeadlineExceeded), fmt.Sprint(err)
		}))
	}
}

// TestRetries: with retries another pod is asked where one refuses, and without them its client hears of it.
func TestRetries(t *testing.T) {
	ips := teaPods(t)
	apply(t, manual(t, "refusing", "", map[string]int{ips[0]: 80, ips[1]: 9}))
	for retries, want := range map[string]bool{"0": true, "1": false} {
		ip := serve(t, "retries-"+retries, "target-service-name: refusing", "upstream: endpoints", "protocol: HTTP",
			`retries: "`+retries+`"`)
		failed := 0
		for range 6 {
			if code, _, _ := fetch(t, ip+":80/", "x"); code != http.StatusOK {
				failed++
			}
		}
		if (failed > 0) != want {
			t.Errorf("with %s retries %d of 6 requests failed", retries, failed)
		}
	}
}

// TestGzip: texts are compressed for who asks for it, where the object says so, and nowhere else.
func TestGzip(t *testing.T) {
	echo(t)
	long := strings.Repeat("tea ", 200)
	for wanted, want := range map[string]string{"true": "gzip", "false": ""} {
		ip := serve(t, "gzip-"+wanted, "target-service-name: echo", "ports: 80:http/HTTP", `gzip: "`+wanted+`"`)
		_, header, body := fetch(t, ip+":80/headers", "x", "Accept-Encoding", "gzip", "X-Long", long)
		if got := header.Get("Content-Encoding"); got != want {
			t.Fatalf("gzip %s: the answer is encoded by %q", wanted, got)
		}
		if want == "" {
			continue
		}
		in, err := gzip.NewReader(strings.NewReader(body))
		must(t, err)
		text, err := io.ReadAll(in)
		if err != nil || !strings.Contains(string(text), long[:700]) || len(body) > len(text)/2 {
			t.Errorf("%d bytes for %d, %v", len(body), len(text), err)
		}
		if _, header, body := fetch(t, ip+":80/headers", "x", "Accept-Encoding", "identity", "X-Long", long); header.Get(
			"Content-Encoding") != "" || !strings.Contains(body, long[:700]) {
			t.Errorf("who does not ask for it gets %v", header)
		}
	}
}

// TestConnectionLimits: what is above a port's limit, or a client's, is turned away until there is room again.
func TestConnectionLimits(t *testing.T) {
	echo(t)
	for _, key := range []string{"max-connections", "max-connections-per-client"} {
		ip := serve(t, key, "target-service-name: echo", "ports: 80:http/HTTP, 7:tcp/TCP", key+`: "1"`)
		release := occupy(t, "http://"+ip+"/slow?for=60s")
		await(t, ip+"/", http.StatusTooManyRequests)
		release()
		await(t, ip+"/", http.StatusOK)

		first, err := dialClient(t.Context(), "tcp", ip+":7")
		must(t, err)
		must(t, first.SetDeadline(time.Now().Add(answerTime)))
		if _, err := io.ReadAtLeast(first, make([]byte, 100), len("hello from ")); err != nil {
			t.Errorf("%s: the first connection: %v", key, err)
		}
		if got := exchange(t, "tcp", ip+":7", "ping\n", "ping"); strings.Contains(got, "hello") {
			t.Errorf("%s: the second connection: %q", key, got)
		}
		first.Close()
		for end := time.Now().Add(answerTime); ; time.Sleep(50 * time.Millisecond) {
			got := exchange(t, "tcp", ip+":7", "ping\n", "ping")
			if strings.HasPrefix(got, "hello from ") {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: when there is room again: %q", key, got)
				break
			}
		}
	}
}

// TestWeights: Services of one route get shares by their weights.
func TestWeights(t *testing.T) {
	ip := serve(t, "weights", "routes: path=/ service=tea weight=3 service=coffee-svc weight=1")
	const asked = 80
	tea := 0
	for range asked {
		_, header, _ := fetch(t, ip+":80/", "x")
		if strings.HasPrefix(header.Get("Server-Name"), "tea-") {
			tea++
		}
	}
	if tea < asked/2 || tea > asked*19/20 {
		t.Errorf("of %d requests %d went to the one of weight 3 of 4", asked, tea)
	}
}
