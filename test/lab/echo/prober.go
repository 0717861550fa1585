package echo

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// Options say what to ask, and how often.
type Options struct {
	// Namespace is the path of the network namespace to stand in.
	Namespace string
	// Targets are IPv4 and IPv6 addresses.
	Targets []netip.Addr
	// Interval is the time between two requests to each target, default 5 ms.
	Interval time.Duration
	// Timeout is how late an answer may be, default 300 ms.
	Timeout time.Duration
}

// Prober asks until it is stopped.
type Prober struct {
	opts    Options
	index   map[netip.Addr]int
	sockets map[bool]int // by "is IPv6"
	begun   time.Time
	stop    chan struct{}
	wg      sync.WaitGroup

	mu    sync.Mutex
	ticks []tick
}

// tick is one round of requests.
type tick struct {
	at       time.Duration // since begun
	answered []uint64      // a bit for each target
}

// Start begins to ask. Every machine's unprivileged pings must be allowed (net.ipv4.ping_group_range), as in the lab.
func Start(o Options) (*Prober, error) {
	o.Interval = cmp.Or(o.Interval, 5*time.Millisecond)
	o.Timeout = cmp.Or(o.Timeout, 300*time.Millisecond)
	p := &Prober{
		opts: o, index: map[netip.Addr]int{}, sockets: map[bool]int{}, begun: time.Now(), stop: make(chan struct{}),
	}
	for i, t := range o.Targets {
		p.index[t] = i
	}
	err := netspace.Do(o.Namespace, p.open)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("echo: %w", err)
	}
	for six, fd := range p.sockets {
		p.wg.Go(func() { p.receive(fd, six) })
	}
	p.wg.Go(p.send)
	return p, nil
}

// open makes the sockets; each belongs for ever to the namespace that it was made in.
func (p *Prober) open() error {
	for _, f := range []struct {
		domain, protocol int
		six              bool
	}{{unix.AF_INET, unix.IPPROTO_ICMP, false}, {unix.AF_INET6, unix.IPPROTO_ICMPV6, true}} {
		fd, err := unix.Socket(f.domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, f.protocol)
		if err != nil {
			return fmt.Errorf("ping socket: %w", err)
		}
		p.sockets[f.six] = fd
		// The reader must be able to notice that it shall end; a burst of answers must find room.
		wait := unix.NsecToTimeval(int64(50 * time.Millisecond))
		if err := errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
		); err != nil {
			return fmt.Errorf("ping socket: %w", err)
		}
	}
	return nil
}

func (p *Prober) close() {
	for _, fd := range p.sockets {
		_ = unix.Close(fd)
	}
}

// Stop ends the asking. What was seen can still be read.
func (p *Prober) Stop() {
	close(p.stop)
	p.wg.Wait()
	p.close()
}

func (p *Prober) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// own gives the goroutine a thread of its own that goes before all others: real-time, since where the kernel groups
// processes by session (sched(7), autogroup) a nice value counts within the session only. Without the right to that it
// goes on as it is, and shows as stalls.
func own() {
	runtime.LockOSThread() // never unlocked: the thread ends with its goroutine, and its priority with it
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}

// The payload of a request: the round and the target.
const (
	header = 8
	length = header + 8
)

// send keeps to the schedule. A round that was missed is not caught up with: it shows as a stall.
func (p *Prober) send() {
	own()
	var packets [][]byte
	var to []unix.Sockaddr
	for i, t := range p.opts.Targets {
		packet := make([]byte, length)
		packet[0] = 8 // echo request (RFC 792)
		if t.Is6() {
			packet[0] = 128 // RFC 4443
		}
		binary.BigEndian.PutUint32(packet[header+4:], uint32(i))
		packets, to = append(packets, packet), append(to, sockaddr(t))
	}
	next := time.Now()
	for round := uint32(0); !p.stopped(); round++ {
		p.mu.Lock()
		p.ticks = append(p.ticks, tick{at: time.Since(p.begun), answered: make([]uint64, (len(to)+63)/64)})
		p.mu.Unlock()
		for i, packet := range packets {
			binary.BigEndian.PutUint16(packet[6:], uint16(round))
			binary.BigEndian.PutUint32(packet[header:], round)
			// An error (no route while a link is down) is a request without an answer.
			_ = unix.Sendto(p.sockets[p.opts.Targets[i].Is6()], packet, unix.MSG_DONTWAIT, to[i])
		}
		for next = next.Add(p.opts.Interval); next.Before(time.Now()); {
			next = next.Add(p.opts.Interval)
		}
		for wait := time.Until(next); wait > 0; wait = time.Until(next) { // the runtime's signals interrupt a sleep
			pause := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&pause, nil)
		}
	}
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

func (p *Prober) receive(fd int, six bool) {
	own()
	reply := byte(0)
	if six {
		reply = 129
	}
	buffer := make([]byte, 256)
	for !p.stopped() {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil || n < length || buffer[0] != reply {
			continue
		}
		p.answer(binary.BigEndian.Uint32(buffer[header:]), binary.BigEndian.Uint32(buffer[header+4:]))
	}
}

func (p *Prober) answer(round, target uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(round) >= len(p.ticks) || int(target) >= len(p.opts.Targets) {
		return
	}
	t := p.ticks[round]
	if time.Since(p.begun)-t.at <= p.opts.Timeout {
		t.answered[target/64] |= 1 << (target % 64)
	}
}
