package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Subcommand is the hidden first argument by which a program hands over to [Main].
const Subcommand = "sandbox-init"

// Spec says what to run.
type Spec struct {
	// Program is a file of the host that the root gets as /<base name> besides the host's own programs. Optional.
	Program string
	// Argv is the command; its first word is looked up in PATH inside the root.
	Argv []string
	// Env is the whole environment, KEY=VALUE.
	Env []string
	// Dir is the working directory inside the root; "" is /.
	Dir string
	// Hostname is what uname(2) says inside.
	Hostname string
	// Mounts are the volumes; parents come before children.
	Mounts []Mount
	// Root is an empty folder of the host to build the root on.
	Root string
}

// Mount binds a file or folder of the host into the root.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// Options say how to start a [Spec].
type Options struct {
	// Self is the program that hands Subcommand to [Main]: usually the running one.
	Self string
	// Network is the open network namespace to run in.
	Network *os.File
	// Output takes the standard output and error.
	Output *os.File
}

// Start starts the container and returns its command, which the caller must Wait for. The process id is that of the
// container's init as the host sees it; killing it kills everything inside.
func Start(spec Spec, opts Options) (*exec.Cmd, error) {
	doc, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("container: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("container: %w", err)
	}
	defer write.Close()
	defer read.Close()
	cmd := exec.Command(opts.Self, Subcommand)
	cmd.Env = spec.Env // also for the first half, so that the lab's mark is seen from the start
	cmd.Stdout, cmd.Stderr = opts.Output, opts.Output
	cmd.ExtraFiles = []*os.File{read, opts.Network} // descriptors 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start container: %w", err)
	}
	// The reader has its copy now; a child that died lets the write fail instead of block.
	read.Close()
	if _, err := write.Write(doc); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start container: hand over: %w", err)
	}
	return cmd, nil
}
