package octavia_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	lab "github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// TestGate breaks calls in each way, and counts them.
func TestGate(t *testing.T) {
	g := openGate(t)
	root := strings.TrimSuffix(g.AuthURL(), "/identity/v3") + "/load-balancer/"
	client := &http.Client{Timeout: time.Second}
	get := func() (int, error) {
		resp, err := client.Get(root)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if status, err := get(); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	g.Break(lab.Fault{After: 1, Times: 1, Status: 503})
	for i, want := range []int{200, 503, 200} {
		if status, err := get(); err != nil || status != want {
			t.Errorf("call %d: %d, %v", i, status, err)
		}
	}
	g.Mend()
	for _, lost := range []bool{false, true} {
		g.Break(lab.Fault{Reset: true, Lost: lost, Times: 1})
		if _, err := get(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("lost %v: %v", lost, err)
		}
	}
	g.Mend()
	g.Break(lab.Fault{Hang: true})
	var timeout net.Error
	if _, err := get(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", err)
	}
	g.Reset()
	g.Break(lab.Fault{Method: "POST", Status: 500})
	g.Break(lab.Fault{Path: "/elsewhere", Status: 500})
	g.Break(lab.Fault{Writes: true, Status: 500})
	g.Break(lab.Fault{Identity: true, Status: 500})
	if status, err := get(); err != nil || status != http.StatusOK {
		t.Errorf("a fault that is for others: %d, %v", status, err)
	}
	if calls := g.Calls(); len(calls) != 1 || calls[0].String() != "GET / 200" {
		t.Errorf("%v", calls)
	}
}

// TestControl tells a gate from outside what to break, as `lab octavia fault` does.
func TestControl(t *testing.T) {
	g := openGate(t)
	address, _, _ := strings.Cut(strings.TrimPrefix(g.AuthURL(), "http://"), "/")
	root := "http://" + address + "/load-balancer/"
	status := func() int {
		resp, err := http.Get(root)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if err := lab.BreakAt(t.Context(), address, lab.Fault{Status: 502}); err != nil || status() != 502 {
		t.Errorf("%v", err)
	}
	if err := lab.MendAt(t.Context(), address); err != nil || status() != 200 {
		t.Errorf("%v", err)
	}
}

// TestUsers logs everybody in, and shows what each may do.
func TestUsers(t *testing.T) {
	g := openGate(t)
	for _, u := range lab.Users() {
		s, err := g.Login(t.Context(), u.Name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Do(t.Context(), http.MethodGet, "loadbalancers", "")
		denied, no := errors.AsType[*lab.StatusError](err)
		if no != (u.Name == "nolb") || no && denied.Status != http.StatusForbidden {
			t.Errorf("%s: %v", u.Name, err)
		}
	}
}

// TestQuiet: nothing of the cloud can be reached but through a gate, and nobody starts a second one of its name.
func TestQuiet(t *testing.T) {
	for _, port := range []string{"5000", "9876", "5672"} {
		if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
			conn.Close()
			t.Errorf("port %s is open on the host; it may be somebody else's", port)
		}
	}
	if os.Getenv("KUBECTL_LB_OCTAVIA") == "" {
		if c, err := lab.Up(t.Context(), lab.Options{Name: name(), Tied: true}); err == nil {
			t.Errorf("two clouds named %s: %s", name(), c.Dir())
		}
	}
}
