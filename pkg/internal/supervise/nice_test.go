package supervise_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/supervise"
)

// TestNice: the program and what it starts have the priority; the supervisor keeps its own.
func TestNice(t *testing.T) {
	before := ownNice(t)
	dir := t.TempDir()
	nice := 7
	if os.Getuid() == 0 {
		nice = -7
	}
	p, err := supervise.Start(supervise.Spec{
		Path: "/bin/sh", Args: []string{"-c", "nice; sh -c nice"},
		Log: filepath.Join(dir, "log"), Record: filepath.Join(dir, "record"), Nice: nice,
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	got, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-7", "-7"}
	if nice > 0 {
		want = []string{"7", "7"}
	}
	if lines := strings.Fields(string(got)); strings.Join(lines, " ") != strings.Join(want, " ") {
		t.Errorf("priorities %v, want %v", lines, want)
	}
	if after := ownNice(t); after != before {
		t.Errorf("the supervisor's own priority was %s and is %s", before, after)
	}
}

// ownNice reads the nice value of this process.
func ownNice(t *testing.T) string {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	// proc(5): nice is field 19; the name, field 2, ends with the last parenthesis.
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[16]
}
