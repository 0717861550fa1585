package neighbor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/sockfilter"
)

// receiveBuffer holds the answers of a thousand addresses.
const receiveBuffer = 2 << 20

// open returns a packet socket for one kind of frames of the interface. Reading and writing it moves whole frames, and
// deadlines work.
func open(index int, kind uint16, keep []bpf.Instruction) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var network [2]byte
	binary.BigEndian.PutUint16(network[:], kind)
	err = errors.Join(
		sockfilter.Attach(fd, keep),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(network[:]), Ifindex: index}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("packet-%#04x", kind)), nil
}

// drain forgets what came while nobody asked, and that the interface was down meanwhile.
func drain(f *os.File) error {
	if err := f.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return pending(f, func([]byte) {})
}

// pending hands over what is there to be read, whatever the deadline, and does not wait.
func pending(f syscall.Conn, take func([]byte)) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, maxFrame)
	return c.Control(func(fd uintptr) {
		for range maxDrain {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err == nil {
				take(b[:n])
			}
		}
	})
}

// maxFrame is more than any frame that is of interest here has.
const maxFrame = 256

// maxDrain is more than the buffer holds.
const maxDrain = 10000

// keepAll and keepAdvertisements are filters. The latter spares this program the IPv6 traffic of the node.
func keepAll() []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: 1 << 16}} }

func keepAdvertisements() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: etherSize + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nextICMPv6, SkipTrue: 3},
		bpf.LoadAbsolute{Off: etherSize + ipv6Size, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeAdvertisement, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}
