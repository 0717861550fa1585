package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// drainTime is how long requests under way may go on after SIGTERM.
const drainTime = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, os.Getenv, log); err != nil {
		log.Error("hello ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, then drains.
func run(ctx context.Context, getenv func(string) string, log *slog.Logger) error {
	name := getenv("POD_NAME")
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for host := range strings.SplitSeq(getenv("POD_IPS"), ",") {
		s := &server{name: name, html: cmp.Or(getenv("HELLO_FORMAT"), "html") == "html", log: log}
		if err := s.listen(host, getenv); err != nil {
			cancel(err)
			break
		}
		log.Info("listening", "http", s.web.Addr(), "tcp", s.tcp.Addr(), "udp", s.udp.LocalAddr())
		wg.Go(func() {
			if err := s.serve(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// server answers on one address.
type server struct {
	name string
	html bool
	log  *slog.Logger
	web  net.Listener
	tcp  net.Listener
	udp  net.PacketConn
}

func (s *server) listen(host string, getenv func(string) string) error {
	var err error
	if s.web, err = net.Listen("tcp", net.JoinHostPort(host, cmp.Or(getenv("PORT"), "80"))); err != nil {
		return fmt.Errorf("web server: %w", err)
	}
	if s.tcp, err = net.Listen("tcp", net.JoinHostPort(host, cmp.Or(getenv("TCP_PORT"), "7"))); err != nil {
		return fmt.Errorf("TCP echo: %w", err)
	}
	if s.udp, err = net.ListenPacket("udp", net.JoinHostPort(host, cmp.Or(getenv("UDP_PORT"), "7"))); err != nil {
		return fmt.Errorf("UDP echo: %w", err)
	}
	return nil
}

func (s *server) serve(ctx context.Context) error {
	web := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	web.Protocols.SetHTTP1(true)
	web.Protocols.SetUnencryptedHTTP2(true)
	var wg sync.WaitGroup
	wg.Go(func() { s.echoTCP(ctx) })
	wg.Go(func() { s.echoUDP(ctx) })
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(s.web) }()
	select {
	case err := <-failed:
		return fmt.Errorf("web server: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := web.Shutdown(drain)
	wg.Wait()
	return err
}
