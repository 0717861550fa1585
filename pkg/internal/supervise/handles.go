package supervise

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Handles reports whether the process would not simply be ended by a signal: it catches, blocks or ignores it.
func (p *Process) Handles(sig syscall.Signal) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.id.PID))
	if err != nil {
		return false
	}
	return masked(string(data), sig)
}

// masked looks a signal up in the masks of /proc/pid/status: hexadecimal, signal 1 is the lowest bit.
func masked(status string, sig syscall.Signal) bool {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "SigBlk", "SigIgn", "SigCgt":
			mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err == nil && mask&(1<<(uint(sig)-1)) != 0 {
				return true
			}
		}
	}
	return false
}
