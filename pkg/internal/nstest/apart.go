package nstest

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Apart runs a function in a network namespace of its own, in which there is nothing but a loopback interface that is
// down. Without root it skips the test.
func Apart(t testing.TB, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		runtime.LockOSThread()               // and never unlocks it, so that the thread ends with the function
		if syscall.Gettid() == os.Getpid() { // the first thread cannot be thrown away
			defer runtime.UnlockOSThread()
			Apart(t, f)
			return
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("make a namespace: %v", err)
			return
		}
		f()
	})
	wait.Wait()
}
