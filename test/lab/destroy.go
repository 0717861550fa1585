package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-lb/kubectl-lb/test/lab/fabric"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
)

// destroy removes everything of the named lab. It relies on nothing that the lab wrote down beyond its name: processes
// are found by their network namespace and by the mark in their environment, namespaces by name, mounts by path.
func destroy(name string) error {
	dir := filepath.Join(BaseDir(), name)
	if _, err := processesOf(name, dir); err != nil {
		return err
	}
	// The supervisor first, or it would start again what is killed.
	if owner, err := readOwner(dir); err == nil && owner.PID != os.Getpid() {
		if err := owner.Signal(unix.SIGKILL); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(15 * time.Second)
	for {
		alive, err := processesOf(name, dir)
		if err != nil {
			return err
		}
		if len(alive) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lab %s: process %d (%s) does not end", name, alive[0].PID, alive[0].Program)
		}
		for _, p := range alive {
			if err := p.Signal(unix.SIGKILL); err != nil {
				return err
			}
		}
		time.Sleep(5 * time.Millisecond) // the kernel's work; the loop looks again
	}
	if err := fabric.Remove(name); err != nil {
		return err
	}
	if err := unmountBelow(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("lab %s: %w", name, err)
	}
	return nil
}

// processesOf returns the lab's living processes, zombies and the caller not counted.
func processesOf(name, dir string) ([]netspace.Process, error) {
	found, err := netspace.ProcessesWithEnv(mark(dir))
	if err != nil {
		return nil, err
	}
	spaces, err := netspace.List(fabric.Prefix(name))
	if err != nil {
		return nil, err
	}
	for _, space := range spaces {
		inside, err := netspace.Processes(netspace.Path(space))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, p := range inside {
			if other, ok := netspace.Env(p.PID, markName); ok && other != dir {
				return nil, fmt.Errorf("a lab of that name runs from another folder, %s", other)
			}
		}
		found = append(found, inside...)
	}
	slices.SortFunc(found, func(a, b netspace.Process) int { return a.PID - b.PID })
	found = slices.CompactFunc(found, func(a, b netspace.Process) bool { return a.PID == b.PID })
	return slices.DeleteFunc(found, func(p netspace.Process) bool { return p.State == "Z" || p.State == "X" }), nil
}

// unmountBelow lets go of every mount at or below dir, the innermost first.
func unmountBelow(dir string) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && (fields[4] == dir || strings.HasPrefix(fields[4], dir+"/")) {
			points = append(points, fields[4])
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// tidyBase removes the folder of all labs when no lab is left.
func tidyBase() {
	_ = os.Remove(BaseDir()) // fails, as it should, while another lab is there
}
