package logtail

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *lines) await(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		l.mu.Lock()
		got := slices.Clone(l.all)
		l.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("lines %q, want %q", got, want)
		}
		<-time.After(time.Millisecond)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(s string) {
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("before its time\n")
	var got lines
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	tail := Tail{Path: path, Limit: 64, Every: time.Millisecond}
	go func() {
		close(ready)
		done <- tail.Run(ctx, got.add)
	}()
	<-ready
	// The tail starts at the end of what is there; until it has, a line may be before its time too.
	<-time.After(20 * time.Millisecond)
	write("one\ntwo\r\n\nthr")
	got.await(t, "one", "two")
	write("ee\n")
	got.await(t, "one", "two", "three")
	write(strings.Repeat("x", 70) + "\n") // beyond the limit
	got.await(t, "one", "two", "three", strings.Repeat("x", 70))
	deadline := time.Now().Add(5 * time.Second)
	for Size(path) != 0 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if n := Size(path); n != 0 {
		t.Errorf("the file still has %d bytes", n)
	}
	write("after\n")
	got.await(t, "one", "two", "three", strings.Repeat("x", 70), "after")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHandCutsEndlessLines(t *testing.T) {
	var got lines
	tail := Tail{}
	tail.hand([]byte(strings.Repeat("y", maxLine+10)), got.add)
	tail.hand([]byte("\n"), got.add)
	if len(got.all) != 2 || len(got.all[0]) != maxLine || len(got.all[1]) != 10 {
		t.Errorf("%d lines", len(got.all))
	}
}

func FuzzHand(f *testing.F) {
	f.Add("a\nb", "c\n")
	f.Add("\r\n\r\n", "\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		var got, whole lines
		split, one := Tail{}, Tail{}
		split.hand([]byte(a), got.add)
		split.hand([]byte(b), got.add)
		one.hand([]byte(a+b), whole.add)
		if len(a+b) < maxLine && !slices.Equal(got.all, whole.all) {
			t.Errorf("in two parts %q, in one %q", got.all, whole.all)
		}
	})
}

func TestReadFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if data, err := ReadFrom(path, 3); err != nil || data != nil {
		t.Errorf("a missing file: %q, %v", data, err)
	}
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFrom(path, 3); err != nil || string(data) != "lo" {
		t.Errorf("%q, %v", data, err)
	}
}
