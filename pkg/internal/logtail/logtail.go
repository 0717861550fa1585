// Package logtail carries the lines that a program appends to a file over to whoever reads them, and keeps the file
// small.
//
// A file, and not a pipe, lets the program outlive its reader. The file is cut to nothing when it has grown beyond its
// limit; lines that the program writes between the last look and the cut are lost, which is the price of a program that
// needs no reader. The package never interprets a line.
package logtail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// The defaults of a Tail.
const (
	DefaultLimit = 8 << 20
	DefaultEvery = 200 * time.Millisecond
)

// maxLine is the length at which a line is handed on unfinished.
const maxLine = 64 << 10

// Tail follows a file.
type Tail struct {
	Path string
	// Limit is the size in bytes beyond which the file is cut; zero means [DefaultLimit].
	Limit int64
	// Every is the time between two looks; zero means [DefaultEvery].
	Every time.Duration

	offset int64
	rest   []byte
}

// Run hands every line that is appended from now on to the function, without its end, until the context is done.
func (t *Tail) Run(ctx context.Context, line func(string)) error {
	every := t.Every
	if every == 0 {
		every = DefaultEvery
	}
	t.offset = Size(t.Path)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := t.look(line); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return t.look(line)
		case <-tick.C:
		}
	}
}

// Size returns the size of a file in bytes, 0 when there is none.
func Size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (t *Tail) look(line func(string)) error {
	size := Size(t.Path)
	if size < t.offset { // somebody else cut it
		t.offset, t.rest = 0, nil
	}
	if size > t.offset {
		data, err := ReadFrom(t.Path, t.offset)
		if err != nil {
			return err
		}
		t.offset += int64(len(data))
		t.hand(data, line)
	}
	limit := t.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if t.offset <= limit {
		return nil
	}
	t.offset = 0
	if err := os.Truncate(t.Path, 0); err != nil {
		return fmt.Errorf("cut %s: %w", t.Path, err)
	}
	return nil
}

func (t *Tail) hand(data []byte, line func(string)) {
	t.rest = append(t.rest, data...)
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 && len(t.rest) > maxLine {
			i = maxLine
		}
		if i < 0 {
			break
		}
		if text := bytes.TrimRight(t.rest[:i], "\r\n"); len(text) > 0 {
			line(string(text))
		}
		t.rest = bytes.TrimPrefix(t.rest[i:], []byte("\n"))
	}
	t.rest = bytes.Clone(t.rest)
}

// ReadFrom returns what follows an offset of a file, at most a megabyte of it. A missing file is an empty one.
func ReadFrom(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}
