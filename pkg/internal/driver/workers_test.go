package driver

import (
	"os"
	"os/exec"
	"testing"
)

// TestAnonymous: memory that a process takes is counted, what it maps of files is not, and one that has ended has none.
func TestAnonymous(t *testing.T) {
	const taken = 32 << 20
	before := anonymous(os.Getpid())
	block := make([]byte, taken)
	for i := 0; i < taken; i += os.Getpagesize() {
		block[i] = 1
	}
	after := anonymous(os.Getpid())
	if before <= 0 || after-before < taken*9/10 {
		t.Errorf("%d bytes, and %d after %d more", before, after, taken)
	}
	if block[0] != 1 {
		t.Error("the block is not there") // so that it lives until here
	}
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got := anonymous(cmd.Process.Pid); got != 0 {
		t.Errorf("a process that has ended has %d bytes", got)
	}
	if got := crew([]int{os.Getpid(), cmd.Process.Pid}); got.Count != 2 || got.Memory < taken {
		t.Errorf("got %+v", got)
	}
}
