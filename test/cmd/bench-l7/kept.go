package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// The load of kept connections: clients, and the mean time between two requests of one.
const (
	keepers = 50
	gap     = 100 * time.Millisecond
)

// answerTime bounds one request.
const answerTime = 5 * time.Second

// crowd are clients that keep their connections.
type crowd struct {
	dialer *netspace.Dialer
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	sent   int
	failed map[string]int
	// lost are those that failed on a new connection, too, right after.
	lost int
}

// gather lets the clients begin to ask port 80 of an address.
func gather(ctx context.Context, r *rig.Rig, address string) (*crowd, error) {
	d, err := r.Lab.Dialer("client")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{dialer: d, cancel: cancel, failed: map[string]int{}}
	for range keepers {
		c.wg.Go(func() {
			k := keeper{dial: func() (net.Conn, error) { return d.DialContext(ctx, "tcp", address+":80") }, host: address}
			defer k.drop()
			for c.idle(ctx) {
				err := k.request()
				c.count(ctx, err)
				if err != nil && k.request() != nil {
					c.lose(ctx)
				}
			}
		})
	}
	return c, nil
}

// idle waits between two requests, false at the end.
func (c *crowd) idle(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(rand.ExpFloat64() * float64(gap))):
		return true
	}
}

func (c *crowd) count(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if err != nil {
		c.failed[reason(err)]++
	}
}

func (c *crowd) lose(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost++
}

// stop ends the load and says what came of it.
func (c *crowd) stop() (failed, sent int, said string) {
	c.cancel()
	c.wg.Wait()
	c.dialer.Close()
	for _, f := range c.failed {
		failed += f
	}
	said = fmt.Sprintf("%d of %d requests failed%s", failed, c.sent, reasons(c.failed))
	if failed > 0 {
		said += fmt.Sprintf(", %d of them on another connection, too", c.lost)
	}
	return failed, c.sent, said
}

func reasons(failed map[string]int) string {
	if len(failed) == 0 {
		return ""
	}
	return fmt.Sprintf(" %v", failed)
}

// reason leaves addresses out, so that equal failures count together.
func reason(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed early"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// keeper is one client. It looks whether its connection was closed before it sends, and never sends twice; whether a
// client that may repeat a request on a new connection would have been answered, is looked at apart.
type keeper struct {
	dial func() (net.Conn, error)
	host string
	conn net.Conn
	from *bufio.Reader
}

func (k *keeper) request() error {
	if k.conn != nil && k.closed() {
		k.drop()
	}
	if k.conn == nil {
		conn, err := k.dial()
		if err != nil {
			return err
		}
		k.conn, k.from = conn, bufio.NewReader(conn)
	}
	ends, err := k.exchange()
	if err != nil || ends {
		k.drop()
	}
	return err
}

// exchange sends a request and reads its answer. It says whether the connection ends with it.
func (k *keeper) exchange() (ends bool, err error) {
	if err := k.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(k.conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", k.host); err != nil {
		return false, err
	}
	res, err := http.ReadResponse(k.from, nil)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return false, err
	}
	if res.StatusCode != http.StatusOK {
		return res.Close, errors.New(res.Status)
	}
	return res.Close, nil
}

// closed reports whether the other side has closed the connection, as far as is known here and now. It asks the kernel,
// as clients do that look right before they send: to wait for an answer would be to look a moment too early.
func (k *keeper) closed() bool {
	socket, ok := k.conn.(syscall.Conn)
	if !ok || k.from.Buffered() > 0 {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN) // neither an end nor an answer that nobody asked for
		return true
	})
	return err != nil || !open
}

func (k *keeper) drop() {
	if k.conn != nil {
		_ = k.conn.Close()
		k.conn = nil
	}
}
