package octavia

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

const (
	// DefaultReadLimit is how long the answer to a call that changes nothing may take.
	DefaultReadLimit = 30 * time.Second
	// DefaultWriteLimit is how long the answer to any other may take: Octavia makes the port of a new load balancer, and
	// checks each member, before it answers.
	DefaultWriteLimit = 3 * time.Minute
)

// api is the calls to OpenStack that this package makes. Each has a time limit, and each error is a [failure].
type api struct {
	credentials Credentials
	// The time limits of calls.
	readLimit, writeLimit time.Duration

	mu      sync.Mutex
	session *session
	// arrival is the login under way, nil for none.
	arrival *flight[*session]
}

// login returns the way into OpenStack, logging in where that has not been done, or has to be done with new
// credentials. All wait for one login, each as long as its own context allows.
func (a *api) login(ctx context.Context) (*session, error) {
	a.mu.Lock()
	if a.session != nil {
		defer a.mu.Unlock()
		return a.session, nil
	}
	if a.arrival == nil {
		detached := context.WithoutCancel(ctx)
		a.arrival = fly(func() (*session, error) { return a.arrive(detached) })
	}
	arrival := a.arrival
	a.mu.Unlock()
	return arrival.wait(ctx)
}

// arrive logs in.
func (a *api) arrive(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, a.readLimit)
	defer cancel()
	s, err := a.credentials.connect(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.session, a.arrival = s, nil
	return s, err
}

// forget makes the next call log in from the start, with whatever the credentials are by then.
func (a *api) forget(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == s {
		a.session = nil
	}
}

// call makes one call to Octavia's load balancing. The body and the answer may be nil.
func (a *api) call(ctx context.Context, method, path string, body, answer any) error {
	to := func(s *session) (*gophercloud.ServiceClient, string, error) {
		return s.octavia, s.octavia.ServiceURL("lbaas") + "/" + path, nil
	}
	return a.send(ctx, to, method, body, answer)
}

// address says which service a call goes to, and its URL.
type address func(*session) (*gophercloud.ServiceClient, string, error)

// send makes one call.
func (a *api) send(ctx context.Context, to address, method string, body, answer any) error {
	limit := a.writeLimit
	if method == http.MethodGet {
		limit = a.readLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	in, err := a.login(ctx)
	if err != nil {
		return understand(err)
	}
	client, target, err := to(in)
	if err != nil {
		return understand(err)
	}
	options := &gophercloud.RequestOpts{
		JSONBody: body, JSONResponse: answer,
		OkCodes: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent},
	}
	response, err := client.Request(ctx, method, target, options)
	if err != nil {
		f := understand(err)
		if f.trouble == troubleLogin {
			a.forget(in)
		}
		return f
	}
	if answer == nil {
		return response.Body.Close()
	}
	return nil
}

// root is a load balancer as a list or a GET has it.
type root struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Tags         []string `json:"tags"`
	Provisioning string   `json:"provisioning_status"`
	Operating    string   `json:"operating_status"`
	Created      string   `json:"created_at"`
	Updated      string   `json:"updated_at"`
	Address      string   `json:"vip_address"`
	PortID       string   `json:"vip_port_id"`
	// Additional are the further virtual IPs.
	Additional []Additional `json:"additional_vips"`
}

// rootFields are what a list asks for: a load balancer has much more.
const rootFields = "fields=id&fields=name&fields=tags&fields=provisioning_status&fields=operating_status" +
	"&fields=created_at&fields=updated_at&fields=vip_address&fields=vip_port_id&fields=additional_vips"

// list returns the load balancers that have all the tags, in the order of their creation.
//
// It never asks for pages. Where the operator has limited them, it follows by itself: the link that Octavia gives to
// its next page forgets the filter. Each load balancer's tags are looked at here as well.
func (a *api) list(ctx context.Context, tags ...string) ([]root, error) {
	var all []root
	marker := ""
	for {
		var page struct {
			LoadBalancers []root `json:"loadbalancers"`
			Links         []struct {
				Rel string `json:"rel"`
			} `json:"loadbalancers_links"`
		}
		path := "loadbalancers?" + rootFields + "&sort_key=created_at&sort_dir=asc&tags=" +
			url.QueryEscape(strings.Join(tags, ","))
		if marker != "" {
			path += "&marker=" + url.QueryEscape(marker)
		}
		if err := a.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		more := false
		for _, l := range page.Links {
			more = more || l.Rel == "next"
		}
		for _, r := range page.LoadBalancers {
			if r.ID != "" && owned(r.Tags, tags) {
				all = append(all, r)
			}
		}
		if !more || len(page.LoadBalancers) == 0 {
			return all, nil
		}
		if marker = page.LoadBalancers[len(page.LoadBalancers)-1].ID; marker == "" {
			return nil, noID()
		}
	}
}

func (a *api) get(ctx context.Context, id string) (root, error) {
	var answer struct {
		LoadBalancer root `json:"loadbalancer"`
	}
	err := a.call(ctx, http.MethodGet, "loadbalancers/"+id, nil, &answer)
	return answer.LoadBalancer, err
}

// remove deletes a load balancer with everything below it.
func (a *api) remove(ctx context.Context, id string) error {
	return a.call(ctx, http.MethodDelete, "loadbalancers/"+id+"?cascade=true", nil, nil)
}

// noID is about an answer that cannot be gone on with, such as of a proxy before Octavia: whether it has done what it
// was told nobody knows.
func noID() error { return &failure{trouble: troubleWeather, text: "Octavia answers without an id"} }

// create makes a load balancer with everything below it, in one call.
func (a *api) create(ctx context.Context, t Tree) (root, error) {
	var answer struct {
		LoadBalancer root `json:"loadbalancer"`
	}
	body := map[string]any{"loadbalancer": whole(t)}
	err := a.call(ctx, http.MethodPost, "loadbalancers", body, &answer)
	if err == nil && answer.LoadBalancer.ID == "" {
		err = noID()
	}
	return answer.LoadBalancer, err
}
