package rig

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// Commit names the commit that a tree is at, with "-dirty" behind it if the tree differs from it, and "unknown" where
// git does not know. docs/benchmarks.md does not count: what is measured first is written there before the rest is.
func Commit(tree string) string {
	commit := output("git", "-C", tree, "describe", "--always")
	diff := exec.Command("git", "-C", tree, "diff", "--quiet", "HEAD", "--", ".", ":!docs/benchmarks.md")
	if err := diff.Run(); err != nil {
		commit += "-dirty"
	}
	return commit
}

// Machine says what figures were measured on: the cores, the kernel and the compiler.
func Machine() string {
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), output("uname", "-sr"), runtime.Version())
}

// output is the first line that a command prints, "unknown" if it fails.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
