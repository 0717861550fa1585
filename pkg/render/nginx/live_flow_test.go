package nginx_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"testing"
)

// TestHalfClose sends all, closes its side, and only then gets its answer.
func TestHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		all, _ := io.ReadAll(c)
		fmt.Fprintf(c, "got %d bytes", len(all))
	}()
	port := freePort(t)
	serve(t, balancer("tcp", []string{"127.0.0.1"}, tcp(port, l.Addr().String())))
	c := dial(t, port)
	if _, err := c.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "got 100000 bytes" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestRefusedWithoutEndpoints wants clients of a TCP service without endpoints refused at once.
func TestRefusedWithoutEndpoints(t *testing.T) {
	port := freePort(t)
	serve(t, balancer("tcp", []string{"127.0.0.1"}, tcp(port)))
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		t.Error("somebody listens")
	}
}

// TestStreaming wants the first part of an answer before the service has made the second, and of a request before the
// client has sent the second.
func TestStreaming(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		rc := nethttp.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		for in := bufio.NewScanner(r.Body); in.Scan(); {
			fmt.Fprintf(w, "data: %s\n", in.Text())
			if err := rc.Flush(); err != nil {
				t.Error(err)
			}
		}
	}))
	defer s.Close()
	port := freePort(t)
	serve(t, balancer("sse", []string{"127.0.0.1"}, http(port, route("", "", s.Listener.Addr().String()))))
	c := dial(t, port)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: sse\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
	r, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer := bufio.NewReader(r.Body)
	for _, word := range []string{"one", "two"} {
		if word == "two" {
			fmt.Fprint(c, "4\r\ntwo\n\r\n0\r\n\r\n")
		}
		if got, err := answer.ReadString('\n'); got != "data: "+word+"\n" || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// TestLargeBody sends more than nginx allows by default.
func TestLargeBody(t *testing.T) {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}))
	defer s.Close()
	port := freePort(t)
	serve(t, balancer("up", []string{"127.0.0.1"}, http(port, route("", "", s.Listener.Addr().String()))))
	const size = 8 << 20
	url, body := fmt.Sprintf("http://127.0.0.1:%d/", port), bytes.NewReader(make([]byte, size))
	r, err := nethttp.Post(url, "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got, _ := io.ReadAll(r.Body); string(got) != fmt.Sprint(size, " ", nil) {
		t.Errorf("the service got %s", got)
	}
}
