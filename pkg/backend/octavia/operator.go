package octavia

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// Operator makes the calls that a person asks for, with that person's own credentials.
type Operator struct{ api *api }

// NewOperator returns an operator. It logs in by the first call.
func NewOperator(c Credentials) *Operator {
	return &Operator{api: &api{credentials: c, readLimit: DefaultReadLimit, writeLimit: DefaultWriteLimit}}
}

// UserCredentials are those of a person: the OS_* variables where OS_AUTH_URL is among them, else the clouds.yaml that
// the openstack command would find. exists says whether there is a file.
func UserCredentials(getenv func(string) string, exists func(path string) bool) Credentials {
	c := Credentials{Getenv: getenv}
	if getenv("OS_AUTH_URL") != "" {
		return c
	}
	for _, path := range []string{
		getenv("OS_CLIENT_CONFIG_FILE"), "clouds.yaml", filepath.Join(getenv("HOME"), ".config/openstack/clouds.yaml"),
		"/etc/openstack/clouds.yaml",
	} {
		if path != "" && exists(path) {
			c.CloudsFile = path
			break
		}
	}
	return c
}

// Statuses are the two of a load balancer: whether Octavia has done its work, and whether traffic flows.
type Statuses struct{ Provisioning, Operating string }

// Working reports whether Octavia is at work on the load balancer.
func (s Statuses) Working() bool {
	return len(s.Provisioning) > len(pendingPrefix) && s.Provisioning[:len(pendingPrefix)] == pendingPrefix
}

// Failover asks Octavia to replace what carries the load balancer. It needs the role load-balancer_admin.
func (o *Operator) Failover(ctx context.Context, id string) error {
	return o.api.call(ctx, http.MethodPut, "loadbalancers/"+id+"/failover", nil, nil)
}

// Found is a load balancer as Octavia has it.
type Found struct {
	ID, Name string
	Statuses
	tags []string
}

// Of reports whether the load balancer was made for an object of a cluster, alone or with others. The cluster is the
// UID of its namespace kube-system; empty stands for any.
func (f Found) Of(cluster string, key lb.Key) bool {
	return (cluster == "" || slices.Contains(f.tags, tagCluster+cluster)) &&
		(slices.Contains(f.tags, objectTag(key)) || shared(f.tags) && slices.Contains(f.tags, sharerTag(key)))
}

// Find returns a load balancer.
func (o *Operator) Find(ctx context.Context, id string) (Found, error) {
	r, err := o.api.get(ctx, id)
	return Found{
		ID: r.ID, Name: r.Name, Statuses: Statuses{Provisioning: r.Provisioning, Operating: r.Operating}, tags: r.Tags,
	}, err
}

// Look returns the statuses of a load balancer.
func (o *Operator) Look(ctx context.Context, id string) (Statuses, error) {
	r, err := o.api.get(ctx, id)
	return Statuses{Provisioning: r.Provisioning, Operating: r.Operating}, err
}

// Denied reports whether an error says that the person lacks a role.
func Denied(err error) bool { return isTrouble(err, troubleDenied) }

// NoLogin reports whether an error says that the credentials are not good, or not good any more.
func NoLogin(err error) bool { return isTrouble(err, troubleLogin) }

// Passes reports whether an error is of the kind that passes by itself: the network, a time limit, a part of OpenStack
// that is away for a moment.
func Passes(err error) bool { return isTrouble(err, troubleWeather) }

func isTrouble(err error, t trouble) bool {
	return err != nil && understand(err).trouble == t
}

// Traffic returns the counters of a load balancer, by one call.
func (o *Operator) Traffic(ctx context.Context, id string) (lb.CloudTraffic, error) {
	var answer struct {
		Stats struct {
			BytesIn           int64 `json:"bytes_in"`
			BytesOut          int64 `json:"bytes_out"`
			ActiveConnections int64 `json:"active_connections"`
			TotalConnections  int64 `json:"total_connections"`
			RequestErrors     int64 `json:"request_errors"`
		} `json:"stats"`
	}
	err := o.api.call(ctx, http.MethodGet, "loadbalancers/"+id+"/stats", nil, &answer)
	return lb.CloudTraffic(answer.Stats), err
}
