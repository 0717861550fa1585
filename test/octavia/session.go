package octavia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Session is a user's way into Octavia with bare calls, beside the program under test.
type Session struct {
	base, token string
}

// Login opens a session of one of [Users].
func (g *Gate) Login(ctx context.Context, user string) (*Session, error) {
	project := ""
	for _, u := range Users() {
		if u.Name == user {
			project = u.Project
		}
	}
	domain := map[string]string{"id": "default"}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{
			"user": map[string]any{"name": user, "domain": domain, "password": Password}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}},
	}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.AuthURL()+"/auth/tokens", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("login of %s: %s", user, resp.Status)
	}
	return &Session{base: g.base + octaviaPath + "/v2/lbaas/", token: resp.Header.Get("X-Subject-Token")}, nil
}

// Do makes a call, again and again while Octavia is at work on the load balancer (409), and returns the answer's body.
func (s *Session) Do(ctx context.Context, method, path, body string) ([]byte, error) {
	for {
		status, text, err := s.once(ctx, method, path, body)
		switch {
		case err != nil:
			return nil, err
		case status < http.StatusBadRequest:
			return text, nil
		case status != http.StatusConflict:
			return nil, &StatusError{Status: status, Text: fmt.Sprintf("%s %s: %d: %s", method, path, status, text)}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s %s: %w: %s", method, path, ctx.Err(), text)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// StatusError is an answer that says no.
type StatusError struct {
	Status int
	Text   string
}

// Error implements error.
func (e *StatusError) Error() string { return e.Text }

func (s *Session) once(ctx context.Context, method, path, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Auth-Token", s.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// Create makes a load balancer from the JSON of its attributes, and returns its id.
func (s *Session) Create(ctx context.Context, attributes string) (string, error) {
	text, err := s.Do(ctx, http.MethodPost, "loadbalancers", `{"loadbalancer":`+attributes+`}`)
	if err != nil {
		return "", err
	}
	var answer struct{ LoadBalancer struct{ ID string } }
	err = json.Unmarshal(text, &answer)
	return answer.LoadBalancer.ID, err
}

// AwaitStatus polls until the load balancer is in the provisioning status; "" waits until it is gone.
func (s *Session) AwaitStatus(ctx context.Context, id, status string, every time.Duration) error {
	for {
		text, err := s.Do(ctx, http.MethodGet, "loadbalancers/"+id, "")
		if e, ok := errors.AsType[*StatusError](err); ok && e.Status == http.StatusNotFound && status == "" {
			return nil
		}
		if err != nil {
			return err
		}
		var answer struct {
			LoadBalancer struct {
				Status string `json:"provisioning_status"`
			}
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return err
		}
		if answer.LoadBalancer.Status == status {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("load balancer %s is %s, not %s: %w", id, answer.LoadBalancer.Status, status, ctx.Err())
		case <-time.After(every):
		}
	}
}
