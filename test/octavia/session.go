package octavia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Session is a user's way into Octavia with bare calls, beside the program under test.
type Session struct {
	gate *Gate
	user User

	mu         sync.Mutex
	token, uid string
}

// Login opens a session of one of [Users].
func (g *Gate) Login(ctx context.Context, user string) (*Session, error) {
	i := slices.IndexFunc(Users(), func(u User) bool { return u.Name == user })
	if i < 0 {
		return nil, fmt.Errorf("login of %s: no such user", user)
	}
	s := &Session{gate: g, user: Users()[i]}
	if err := s.login(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// login gets a token, which is good for a time only.
func (s *Session) login(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := json.Marshal(loginBody(s.user.Name, s.user.Project))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.gate.AuthURL()+"/auth/tokens", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("login of %s: %s", s.user.Name, resp.Status)
	}
	var answer struct {
		Token struct{ User struct{ ID string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("login of %s: %w", s.user.Name, err)
	}
	s.token, s.uid = resp.Header.Get("X-Subject-Token"), answer.Token.User.ID
	return nil
}

// Token is the session's, for a [Fault].
func (s *Session) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// ApplicationCredential makes an application credential of that name for the user.
func (s *Session) ApplicationCredential(ctx context.Context, name string) (id, secret string, err error) {
	s.mu.Lock()
	url := s.gate.AuthURL() + "/users/" + s.uid + "/application_credentials"
	s.mu.Unlock()
	body := fmt.Sprintf(`{"application_credential":{"name":%q}}`, name)
	status, text, err := s.send(ctx, http.MethodPost, url, body)
	if err != nil {
		return "", "", err
	}
	if status != http.StatusCreated {
		return "", "", fmt.Errorf("application credential %s: %d: %s", name, status, text)
	}
	var answer struct {
		Credential struct{ ID, Secret string } `json:"application_credential"`
	}
	err = json.Unmarshal(text, &answer)
	return answer.Credential.ID, answer.Credential.Secret, err
}

// Do makes a call, again and again while Octavia is at work on the load balancer (409), and returns the answer's body.
func (s *Session) Do(ctx context.Context, method, path, body string) ([]byte, error) {
	for fresh := false; ; {
		status, text, err := s.send(ctx, method, s.gate.base+octaviaPath+"/v2/lbaas/"+path, body)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusUnauthorized && !fresh: // the token's life is over
			if err := s.login(ctx); err != nil {
				return nil, err
			}
			fresh = true
			continue
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

func (s *Session) send(ctx context.Context, method, url, body string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	r.Header.Set("X-Auth-Token", s.token)
	s.mu.Unlock()
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
