package octavia

import (
	"context"
	"io"
	"net/http"
	"time"
)

// flight is something that is fetched once for all who wait for it. Each waits as long as its own context allows.
type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// fly begins to fetch. What is fetched has a limit of its own, for nobody can stop it.
func fly[T any](fetch func() (T, error)) *flight[T] {
	f := &flight[T]{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.value, f.err = fetch()
	}()
	return f
}

// wait returns what was fetched, or the context's error where that is done earlier.
func (f *flight[T]) wait(ctx context.Context) (zero T, err error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// bounded gives a limit to requests that have none: the library asks a service for its versions without a context.
type bounded struct {
	next  http.RoundTripper
	limit time.Duration
}

// RoundTrip implements http.RoundTripper. The limit is that of the answer's body, too.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, has := r.Context().Deadline(); has {
		return b.next.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.limit)
	response, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = &lastWord{ReadCloser: response.Body, end: cancel}
	return response, nil
}

// lastWord is a body that tells when it is closed.
type lastWord struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (l *lastWord) Close() error {
	defer l.end()
	return l.ReadCloser.Close()
}
