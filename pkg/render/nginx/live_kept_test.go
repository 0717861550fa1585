package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// keeping is a client that keeps its connection.
type keeping struct {
	conn net.Conn
	from *bufio.Reader
}

// get asks, and reports whether the connection ends with the answer.
func (k keeping) get() (ends bool, err error) {
	if _, err := fmt.Fprint(k.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return false, err
	}
	r, err := nethttp.ReadResponse(k.from, nil)
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.Close, err
}

// waiting asks the probe how many connections are kept.
func waiting(t *testing.T, run string) int {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(run, nginx.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET "+nginx.WaitingPath+" HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	n, err := strconv.Atoi(body)
	if err != nil {
		t.Fatalf("%q: %v", all, err)
	}
	return n
}

// TestKept has a client that keeps its connection: nginx counts it, and a reload spares it where nginx can, until its
// next request, which is answered.
func TestKept(t *testing.T) {
	port := freePort(t)
	in := input(balancer("cafe", []string{"127.0.0.1"}, http(port, route("", "", backend(t, "tea")))))
	in.StubStatus = true
	_, run := serveInput(t, "", in)
	if n := waiting(t, run); n != 0 {
		t.Errorf("%d connections wait before there is any", n)
	}
	conn := dial(t, port)
	k := keeping{conn, bufio.NewReader(conn)}
	if ends, err := k.get(); ends || err != nil {
		t.Fatal(ends, err)
	}
	poll(t, "the kept connection", func() bool { return waiting(t, run) == 1 })
	old := reload(t, run)
	poll(t, "the end of the old worker's accepting", func() bool { return !accepting(old[0]) })
	ends, err := k.get()
	if spared := nginx.SparesKept(installed(t)); spared && (err != nil || !ends) {
		t.Errorf("the request after the reload: ends %v, %v", ends, err)
	} else if !spared && err == nil {
		t.Error("this nginx spares kept connections, and SparesKept does not know")
	}
}

// Only a version that has the directive gets it.
func TestSparesKept(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, "1.22.1": false, "1.27.3": false, "1.27.4": true, "1.30.6": true,
	} {
		in := input(balancer("x", []string{"10.0.0.1"}, http(80, route("", "", "10.96.0.1:80"))))
		in.Version = version
		res, err := nginx.Render(in)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := res.Files.Get("nginx.conf")
		if strings.Contains(string(text), "keepalive_min_timeout 5s;") != want || nginx.SparesKept(version) != want {
			t.Errorf("%q: %s", version, text)
		}
	}
}
