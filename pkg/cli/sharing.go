package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// guest is a namespace that shares with another one.
type guest struct{ share, namespace string }

// host returns the namespace that a share-key belongs to.
func host(share string) string {
	namespace, _, _ := strings.Cut(share, "/")
	return namespace
}

// guestOf returns the guest that a load balancer is, where it is one.
func guestOf(l lb.LoadBalancer) (guest, bool) {
	g := guest{l.Share, l.Origin.Namespace}
	return g, l.Share != "" && host(l.Share) != g.namespace
}

// hosts know which namespaces let others have their share-keys. The controller sees that in the objects there; this
// program sees some of them at best.
type hosts struct {
	ctx context.Context //nolint:containedctx // lives as long as one validation
	// cluster is nil offline.
	cluster *cluster
	// listed are the wishes of a namespace's objects; nil where they may not be read.
	listed map[string][]lb.Wish
	// unjudged are those of whom nobody here knows whether they are invited.
	unjudged map[guest]bool
}

func newHosts(ctx context.Context, c *cluster) *hosts {
	return &hosts{ctx: ctx, cluster: c, listed: map[string][]lb.Wish{}, unjudged: map[guest]bool{}}
}

// invitations returns wishes that stand for the objects of other namespaces, as far as those matter to who may share:
// they let in whoever is let in there, or may be for all that is known, and those who share already, but not whoever
// asks and is known to be refused. Asked are the wishes to judge and served what is served.
func (h *hosts) invitations(asked []lb.Wish, served []lb.LoadBalancer) ([]lb.Wish, error) {
	welcome := map[string][]string{}
	refused := map[guest]bool{}
	for _, w := range asked {
		g, foreign := guestOf(w.LoadBalancer)
		if !foreign {
			continue
		}
		ok, err := h.invited(g, asked)
		if err != nil {
			return nil, err
		}
		if refused[g] = !ok; ok {
			welcome[g.share] = append(welcome[g.share], g.namespace)
		}
	}
	for _, l := range served {
		if g, foreign := guestOf(l); foreign && !refused[g] {
			welcome[g.share] = append(welcome[g.share], g.namespace)
		}
	}
	var out []lb.Wish
	for _, share := range slices.Sorted(maps.Keys(welcome)) {
		out = append(out, invitation(share, welcome[share]))
	}
	return out, nil
}

// invitation is a wish of which nothing counts but whom it lets share: a failed one gets no address, and no object has
// its name.
func invitation(share string, namespaces []string) lb.Wish {
	key := lb.Key{Namespace: host(share), Name: "share " + share}
	return lb.Wish{
		LoadBalancer: lb.LoadBalancer{Origin: lb.Origin{Key: key}, Share: share},
		Address:      lb.AddressWish{ShareWith: namespaces},
		Findings:     []lb.Finding{{Code: lb.CodeBadValue}},
	}
}

// invited reports whether an object of the share-key's namespace lets a guest have it, or may do so. What was asked
// about counts in place of the objects of the same names.
func (h *hosts) invited(g guest, asked []lb.Wish) (bool, error) {
	known := slices.Clone(asked)
	if h.cluster != nil {
		there, err := h.list(host(g.share))
		if err != nil {
			return false, err
		}
		for _, w := range there {
			same := func(a lb.Wish) bool { return a.LoadBalancer.Origin.Key == w.LoadBalancer.Origin.Key }
			if !slices.ContainsFunc(asked, same) {
				known = append(known, w)
			}
		}
	}
	hosted := false
	for _, w := range known {
		if w.LoadBalancer.Share != g.share || w.LoadBalancer.Origin.Namespace != host(g.share) {
			continue
		}
		hosted = true
		if slices.Contains(w.Address.ShareWith, g.namespace) || slices.Contains(w.Address.ShareWith, "*") {
			return true, nil
		}
	}
	// Offline, those among the files are taken for all of them, as their Services are.
	if h.cluster == nil && hosted || h.cluster != nil && h.listed[host(g.share)] != nil {
		return false, nil
	}
	h.unjudged[g] = true
	return true, nil
}

// list reads the objects of a namespace once.
func (h *hosts) list(namespace string) ([]lb.Wish, error) {
	if wishes, known := h.listed[namespace]; known {
		return wishes, nil
	}
	cms, err := h.cluster.objects(h.ctx, namespace, "")
	switch {
	case apierrors.IsForbidden(err):
		h.listed[namespace] = nil
		return nil, nil
	case err != nil:
		return nil, err
	}
	wishes := make([]lb.Wish, 0, len(cms))
	for i := range cms {
		wishes = append(wishes, configmap.Parse(&cms[i], nil))
	}
	h.listed[namespace] = wishes
	return wishes, nil
}

// notes say what could not be judged, and why.
func (h *hosts) notes() []string {
	var out []string
	for g := range h.unjudged {
		_, name, _ := strings.Cut(g.share, "/")
		text := fmt.Sprintf("not checked: whether namespace %q lets %q have its share-key %q", host(g.share),
			g.namespace, name)
		if h.cluster != nil {
			text += ", as you may not list configmaps in namespace " + host(g.share)
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}
