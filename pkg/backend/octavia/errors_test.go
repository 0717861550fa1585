package octavia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The texts are Octavia's and Keystone's.
func TestUnderstand(t *testing.T) {
	fault := func(text string) string { return fmt.Sprintf(`{"faultcode":"Client","faultstring":%q}`, text) }
	for _, tt := range []struct {
		status  int
		body    string
		trouble trouble
		text    string
	}{
		{409, fault("Load Balancer x is immutable and cannot be updated."), troubleBusy, "immutable"},
		{409, fault("Invalid state PENDING_UPDATE of loadbalancer resource x"), troubleBusy, "Invalid state"},
		{409, fault("Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80"), troubleRefused, "already"},
		{409, "", troubleRefused, "409 Conflict"},
		{403, fault("Quota has been met for resources: Member"), troubleQuota, "Member"},
		{403, fault("Policy does not allow this request to be performed."), troubleDenied, "Policy"},
		{400, fault("Invalid input for field/attribute vip_subnet_id."), troubleRefused, "vip_subnet_id"},
		{501, fault("Provider 'amphora' does not support a requested option: x"), troubleRefused, "does not support"},
		{404, fault("pool x not found."), troubleGone, "not found"},
		{404, `{"NeutronError":{"message":"External network e is not reachable from subnet s.  Therefore, cannot associate Port p"}}`,
			troubleRefused, "not reachable"},
		{429, "", troubleWeather, "Too Many"},
		{498, "", troubleWeather, "498"},
		{408, "", troubleWeather, "Timeout"},
		{500, fault("boom"), troubleWeather, "boom"},
		{503, "<html>", troubleWeather, "503 Service Unavailable"},
		{401, `{"error":{"message":"The request you have made requires authentication."}}`, troubleLogin, "authentication"},
	} {
		a := fakeAPI(func(*http.Request) (int, string) { return tt.status, tt.body })
		_, err := a.get(t.Context(), "x")
		f := understand(fmt.Errorf("around: %w", err))
		if f.trouble != tt.trouble || !strings.Contains(f.text, tt.text) || f.retryAfter != 7*time.Second {
			t.Errorf("%d %s: %+v", tt.status, tt.body, f)
		}
		if (a.session == nil) != (tt.trouble == troubleLogin) {
			t.Errorf("%d: logged in %v", tt.status, a.session != nil)
		}
	}
}

func TestUnderstandOther(t *testing.T) {
	for want, err := range map[string]error{
		"no answer in time": context.DeadlineExceeded,
		"unexpected EOF":    io.ErrUnexpectedEOF,
	} {
		f := understand(fmt.Errorf("%w", err))
		if f.trouble != troubleWeather || !strings.Contains(f.text, want) || !errors.Is(f, err) || f.unsent {
			t.Errorf("%v: %+v", err, f)
		}
	}
	for op, unsent := range map[string]bool{"dial": true, "read": false} {
		ours, theirs := &net.TCPAddr{Port: 43512}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9876}
		err := &url.Error{Op: "Post", URL: "u", Err: &net.OpError{
			Op: op, Net: "tcp", Source: ours, Addr: theirs, Err: io.ErrUnexpectedEOF,
		}}
		want := op + " tcp 192.0.2.1:9876: unexpected EOF"
		if f := understand(fmt.Errorf("%w", err)); f.unsent != unsent || f.text != want {
			t.Errorf("%s: unsent %v, %q", op, f.unsent, f.text)
		}
	}
}

// TestUnsent: what was refused has not been done; of anything else nobody knows.
func TestUnsent(t *testing.T) {
	for code, want := range map[int]bool{404: true, 409: true, 429: true, 498: true, 408: false, 500: false, 503: false, 504: false} {
		a := fakeAPI(func(*http.Request) (int, string) { return code, "" })
		if _, err := a.get(t.Context(), "x"); understand(err).unsent != want {
			t.Errorf("%d: unsent %v", code, !want)
		}
	}
}

func TestFinding(t *testing.T) {
	for trouble, want := range map[trouble]lb.Finding{
		troubleQuota: {Code: lb.CodeCloudQuota, Message: "Text. Delete what is not needed, or have the quota raised."},
		troubleDenied: {Code: lb.CodeCloudDenied,
			Message: "Text. The controller's user needs the role load-balancer_member in its project."},
		troubleRefused: {Code: lb.CodeCloudRefused, Message: "Octavia refuses: Text"},
	} {
		f := &failure{trouble: trouble, text: "Text"}
		if got := f.finding(); got != want || !f.stays() {
			t.Errorf("%s: %+v", trouble, got)
		}
	}
	for _, trouble := range []trouble{troubleBusy, troubleGone, troubleLogin, troubleWeather} {
		if (&failure{trouble: trouble}).stays() {
			t.Errorf("%s stays", trouble)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-1": 0, "x": 0, "Fri, 31 Dec 1999 23:59:59 GMT": 0, "99999999": time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": []string{text}}); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestListPages has an Octavia with pages of two. Its links forget the filter, so the pages after the first would be
// full of other people's load balancers.
func TestListPages(t *testing.T) {
	all := []root{
		{ID: "1", Tags: []string{"mine"}}, {ID: "2", Tags: []string{"mine", "other"}}, {ID: "3", Tags: []string{"theirs"}},
		{ID: "4", Tags: []string{"mine"}}, {ID: "5"},
	}
	a := fakeAPI(func(r *http.Request) (int, string) {
		q := r.URL.Query()
		if q.Get("tags") != "mine" || q.Get("limit") != "" {
			t.Errorf("asked for %s", r.URL)
		}
		page, rest := "", all
		for i, x := range all {
			if x.ID == q.Get("marker") {
				rest = all[i+1:]
			}
		}
		link := ""
		if len(rest) > 2 {
			rest, link = rest[:2], `{"rel":"next","href":"http://octavia/v2.0/lbaas/loadbalancers?marker=2"}`
		}
		for i, x := range rest {
			page += strings.Repeat(",", min(i, 1)) + fmt.Sprintf(`{"id":%q,"tags":[%s]}`, x.ID, quoted(x.Tags))
		}
		return http.StatusOK, fmt.Sprintf(`{"loadbalancers":[%s],"loadbalancers_links":[%s]}`, page, link)
	})
	got, err := a.list(t.Context(), "mine")
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	if err != nil || strings.Join(ids, " ") != "1 2 4" {
		t.Errorf("%v, %v", ids, err)
	}
}

// FuzzStatus says that no answer of Octavia, or of something in its place, does harm.
func FuzzStatus(f *testing.F) {
	f.Add(`{"statuses":{"loadbalancer":{"listeners":[{"name":"tcp-80","pools":[{"id":"p","name":"tcp-80","members":[{"address":"::1"}]}]}]}}}`)
	f.Add(`{"statuses":{"loadbalancer":{"listeners":[{"name":"tcp-80","pools":[{"health_monitor":null}]}]}}}`)
	f.Add(`[]`)
	tree := plant(tcp(80, "192.0.2.11:30080"), Settings{})
	f.Fuzz(func(t *testing.T, body string) {
		a := fakeAPI(func(*http.Request) (int, string) { return http.StatusOK, body })
		status, err := a.status(t.Context(), "x")
		if err != nil {
			return
		}
		for _, o := range Diff(tree, confirm(root{ID: "x"}, tree, status)) {
			if o.String() == "" {
				t.Error("an operation without a name")
			}
		}
	})
}

func quoted(tags []string) string {
	var out []string
	for _, t := range tags {
		out = append(out, fmt.Sprintf("%q", t))
	}
	return strings.Join(out, ",")
}
