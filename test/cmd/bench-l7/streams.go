package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// streamCount is how many long streams there are.
const streamCount = 20

// streams are TCP connections through a load balancer that carry a line each second.
type streams struct {
	dialer *netspace.Dialer
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	broken map[string]int
}

// open opens the streams to the echo at port 7 of an address.
func open(ctx context.Context, r *rig.Rig, address string) (*streams, error) {
	d, err := r.Lab.Dialer("client")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &streams{dialer: d, cancel: cancel, broken: map[string]int{}}
	for i := range streamCount {
		conn, err := d.DialContext(ctx, "tcp", address+":7")
		if err != nil {
			s.stop()
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
		s.wg.Go(func() {
			defer conn.Close()
			if err := talk(ctx, conn); err != nil {
				s.mu.Lock()
				s.broken[reason(err)]++
				s.mu.Unlock()
			}
		})
	}
	return s, nil
}

// talk sends lines and waits for each to come back, until the context ends.
func talk(ctx context.Context, conn net.Conn) error {
	from := bufio.NewReader(conn)
	if _, err := from.ReadString('\n'); err != nil { // the greeting
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(conn, "still there?"); err != nil {
			return err
		}
		if _, err := from.ReadString('\n'); err != nil {
			return err
		}
	}
}

// stop ends the streams and says what came of them.
func (s *streams) stop() (broken int, said string) {
	s.cancel()
	s.wg.Wait()
	s.dialer.Close()
	for _, b := range s.broken {
		broken += b
	}
	return broken, fmt.Sprintf("%d of %d streams broke%s", broken, streamCount, reasons(s.broken))
}
