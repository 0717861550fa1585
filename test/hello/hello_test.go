package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// start serves on free ports of the loopback and returns the server and a function that ends it.
func start(t *testing.T) (*server, func() error) {
	t.Helper()
	s := &server{name: "tea-1", html: true, log: slog.New(slog.DiscardHandler)}
	if err := s.listen("127.0.0.1", func(string) string { return "0" }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	stop := func() error { cancel(); return <-ended }
	t.Cleanup(cancel)
	return s, stop
}

func get(t *testing.T, url string, header ...string) (string, *http.Response) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), response
}

func TestHTTP(t *testing.T) {
	s, _ := start(t)
	base := "http://" + s.web.Addr().String()
	body, _ := get(t, base+"/a?b=c")
	for _, want := range []string{"Hello from tea-1\n", "Server name: tea-1\n", "URI: /a?b=c\n",
		"Server address: " + s.web.Addr().String()} {
		if !strings.Contains(body, want) {
			t.Errorf("%q lacks %q", body, want)
		}
	}
	body, response := get(t, base+"/<script>", "Accept", "text/html")
	if !strings.Contains(body, "<title>Hello World") || strings.Contains(body, "<script>") {
		t.Errorf("page %q", body)
	}
	if got := response.Header.Get("Server-Name"); got != "tea-1" {
		t.Errorf("Server-Name %q", got)
	}
	if _, response := get(t, base+"/status/503"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", response.StatusCode)
	}
	if body, _ := get(t, base+"/headers", "X-Test", "yes"); !strings.Contains(body, "X-Test: yes") {
		t.Errorf("headers %q", body)
	}
}

func TestEchoes(t *testing.T) {
	s, _ := start(t)
	conn, err := net.Dial("tcp", s.tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || line != "hello from tea-1\n" {
		t.Errorf("greeting %q, %v", line, err)
	}
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := reader.ReadString('\n'); err != nil || line != "ping\n" {
		t.Errorf("echo %q, %v", line, err)
	}
	udp, err := net.Dial("udp", s.udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := io.WriteString(udp, "ping"); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 100)
	if err := udp.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := udp.Read(buffer); err != nil || string(buffer[:n]) != "hello from tea-1: ping" {
		t.Errorf("datagram %q, %v", buffer[:n], err)
	}
}

func TestWebsocket(t *testing.T) {
	s, _ := start(t)
	c, _, err := websocket.Dial(t.Context(), "ws://"+s.web.Addr().String()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	for i, want := range []string{"hello from tea-1", "ping"} {
		if i > 0 {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(want)); err != nil {
				t.Fatal(err)
			}
		}
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
			t.Errorf("message %q, %v, want %q", got, err, want)
		}
	}
}

func TestGRPC(t *testing.T) {
	s, _ := start(t)
	conn, err := grpc.NewClient(s.web.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out := new(wrapperspb.StringValue)
	if err := conn.Invoke(t.Context(), EchoMethod, wrapperspb.String("ping"), out); err != nil {
		t.Fatal(err)
	}
	if out.GetValue() != "hello from tea-1: ping" {
		t.Errorf("echo %q", out.GetValue())
	}
	answer, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", answer, err)
	}
}

// TestDrains ends the server while a request is under way: the request is answered, new ones are refused.
func TestDrains(t *testing.T) {
	s, stop := start(t)
	address := s.web.Addr().String()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /slow?for=300ms HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // let the request arrive: nothing shows it from outside
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the request under way: %v, %v", response, err)
	}
	response.Body.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if late, err := net.Dial("tcp", address); err == nil {
		late.Close()
		t.Error("a new connection after the end")
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	env := map[string]string{"POD_NAME": "x", "POD_IPS": "127.0.0.1", "PORT": port}
	err = run(t.Context(), func(key string) string { return env[key] }, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "web server") {
		t.Errorf("a port in use: %v", err)
	}
}
