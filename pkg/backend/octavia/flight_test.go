package octavia

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// hanging is an OpenStack whose Keystone answers, and whose services accept a request and never do.
type hanging struct{ logins, calls atomic.Int32 }

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "keystone" {
		h.calls.Add(1)
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"X-Subject-Token": []string{"t"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	if r.Method == http.MethodGet {
		return answer(http.StatusOK, `{"versions":{"values":[{"id":"v3.14","status":"stable","links":[{"rel":"self",`+
			`"href":"http://keystone/v3/"}]}]}}`)
	}
	h.logins.Add(1)
	return answer(http.StatusCreated, `{"token":{"expires_at":"2100-01-01T00:00:00.000000Z","catalog":[{"type":`+
		`"load-balancer","endpoints":[{"interface":"public","region":"R","region_id":"R","url":"http://octavia"}]},{"type":`+
		`"network","endpoints":[{"interface":"public","region":"R","region_id":"R","url":"http://neutron"}]}]}}`)
}

// TestHangingDiscovery: a service that accepts and never answers holds nobody for longer than a call may take, and who
// waits for another one's login leaves when its own time is over.
func TestHangingDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{}
		c := variables(map[string]string{"OS_AUTH_URL": "http://keystone/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p"})
		c.Transport = h
		a := &api{credentials: c, readLimit: DefaultReadLimit, writeLimit: DefaultWriteLimit}
		begin := time.Now()
		first := make(chan error, 1)
		go func() { _, err := a.login(t.Context()); first <- err }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.login(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if err := <-first; err == nil || understand(err).trouble != troubleWeather || time.Since(begin) > 2*DefaultReadLimit {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if n := h.logins.Load(); n != 1 {
			t.Errorf("%d logins", n)
		}
		if _, err := a.login(ctx); err == nil {
			t.Error("what has failed is not tried again")
		}
		time.Sleep(time.Minute)
	})
}

// TestHangingNeutron does not hold those who wait for Neutron one after the other.
func TestHangingNeutron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakeAPI(nil).session
		s.neutron = nil
		s.octavia.HTTPClient.Transport = bounded{next: &hanging{}, limit: DefaultReadLimit}
		s.octavia.EndpointLocator = func(gophercloud.EndpointOpts) (string, error) {
			r, err := http.NewRequest(http.MethodGet, "http://neutron", http.NoBody)
			if err != nil {
				return "", err
			}
			response, err := s.octavia.HTTPClient.Do(r)
			if err != nil {
				return "", err
			}
			return "", response.Body.Close()
		}
		begin := time.Now()
		done := make(chan error, 3)
		for range 3 {
			go func() { _, err := s.network(); done <- err }()
		}
		for range 3 {
			if err := <-done; err == nil || understand(err).trouble != troubleWeather {
				t.Errorf("%v", err)
			}
		}
		if d := time.Since(begin); d > DefaultReadLimit {
			t.Errorf("after %s", d)
		}
	})
}

// TestBoundedBody: the limit is over only when the body has been read.
func TestBoundedBody(t *testing.T) {
	ended := false
	b := &lastWord{ReadCloser: io.NopCloser(bytes.NewReader(nil)), end: func() { ended = true }}
	if err := b.Close(); err != nil || !ended {
		t.Errorf("%v, ended %v", err, ended)
	}
	var got context.Context
	next := rounds(func(r *http.Request) (*http.Response, error) {
		got = r.Context()
		return &http.Response{Body: io.NopCloser(strings.NewReader("x"))}, nil
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := bounded{next: next, limit: time.Hour}.RoundTrip(r)
	if err != nil || got.Err() != nil {
		t.Fatalf("%v, %v", err, got.Err())
	}
	if err := response.Body.Close(); err != nil || got.Err() == nil {
		t.Errorf("%v, %v", err, got.Err())
	}
}

type rounds func(*http.Request) (*http.Response, error)

func (f rounds) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
