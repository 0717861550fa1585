package main

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// handler serves everything that comes by the web port.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.hello)
	mux.HandleFunc("/ws", s.echoWebsocket)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/slow", s.slow)
	mux.HandleFunc("/status/{code}", status)
	rpc := newGRPC(s.name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			rpc.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Server-Name", s.name)
		mux.ServeHTTP(w, r)
	})
}

// hello says who answers, with the lines of nginxdemos/hello:plain-text.
func (s *server) hello(w http.ResponseWriter, r *http.Request) {
	address := ""
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer); ok {
		address = local.String()
	}
	text := fmt.Sprintf("Hello from %s\nServer address: %s\nServer name: %s\nDate: %s\nURI: %s\nHost: %s\nProtocol: %s\n",
		s.name, address, s.name, time.Now().Format("02/Jan/2006:15:04:05 -0700"), r.URL.RequestURI(), r.Host, r.Proto)
	w.Header().Set("Cache-Control", "no-cache")
	if s.html && strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!DOCTYPE html>\n<title>Hello World</title>\n<pre>%s</pre>\n", html.EscapeString(text))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, text)
}

// slow answers after ?for=…, or not at all when the client has gone.
func (s *server) slow(w http.ResponseWriter, r *http.Request) {
	wait, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		http.Error(w, "want ?for=DURATION", http.StatusBadRequest)
		return
	}
	select {
	case <-r.Context().Done():
	case <-time.After(wait):
		s.hello(w, r)
	}
}

func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	w.WriteHeader(code)
}

// headers shows what came through: the request line, the peer and all headers, sorted.
func headers(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s %s\nHost: %s\nPeer: %s\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host, r.RemoteAddr)
	var lines []string
	for name, values := range r.Header {
		for _, value := range values {
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines)
	fmt.Fprintln(w, strings.Join(lines, "\n"))
}

// echoWebsocket greets and then returns each message.
func (s *server) echoWebsocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // any origin: it is a demo
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = c.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello from "+s.name)); err != nil {
		return
	}
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, kind, data); err != nil {
			return
		}
	}
}
