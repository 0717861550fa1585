package chaos

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/kubectl-lb/kubectl-lb/test/lab"
	"github.com/kubectl-lb/kubectl-lb/test/lab/echo"
	"github.com/kubectl-lb/kubectl-lb/test/lab/netspace"
	"github.com/kubectl-lb/kubectl-lb/test/lab/owner"
	"github.com/kubectl-lb/kubectl-lb/test/lab/probe"
)

// How often every address is asked: each client by echo requests, and the first one by connections with a request.
const (
	echoEvery    = 20 * time.Millisecond
	requestEvery = 100 * time.Millisecond
	// requestLimit is less than TCP's first retransmission takes (1 s, RFC 6298), and more than a busy machine is late
	// by.
	requestLimit = 900 * time.Millisecond
)

// How a client asked.
const (
	byEcho    = "echo"
	byRequest = "request"
)

// probes ask all addresses during a run.
type probes struct {
	echoes   map[string]*echo.Prober // by client
	requests map[netip.Addr]*lab.Prober
}

func startProbes(ctx context.Context, r *runner, addresses []netip.Addr) (*probes, error) {
	p := &probes{echoes: map[string]*echo.Prober{}, requests: map[netip.Addr]*lab.Prober{}}
	for _, c := range r.rig.Lab.Info().Clients {
		e, err := echo.Start(echo.Options{
			Namespace: netspace.Path(c.Namespace), Targets: addresses, Interval: echoEvery, Timeout: requestLimit,
		})
		if err != nil {
			return nil, err
		}
		p.echoes[c.Name] = e
	}
	for _, a := range addresses {
		q, err := r.rig.Lab.Prober(r.clients[0], probe.Options{
			Target: netip.AddrPortFrom(a, 80), Interval: requestEvery, Timeout: requestLimit,
		})
		if err != nil {
			return nil, err
		}
		q.Start(context.WithoutCancel(ctx)) // stopped by collect, also when the run is given up
		p.requests[a] = q
	}
	return p, nil
}

// answering says whether every address answers both clients now.
func (p *probes) answering(addresses []netip.Addr) (bool, string) {
	at := time.Now().Add(-echoEvery)
	for client, e := range p.echoes {
		for _, a := range addresses {
			if !e.Answering(a, at) {
				return false, a.String() + " does not answer " + client
			}
		}
	}
	return true, ""
}

// collect ends the observation and brings what it saw into the history.
func (r *runner) collect(addresses []netip.Addr) error {
	end := time.Now()
	r.gifts.stop()
	for client, e := range r.probes.echoes {
		e.Stop()
		for _, o := range e.Stalls(2*echoEvery, r.begun, end) {
			r.note(Record{At: o.From.Sub(r.begun), What: Stalled, Client: client, Until: o.To.Sub(r.begun)})
		}
		for _, a := range addresses {
			for _, o := range e.Outages(a, r.begun, end.Add(-requestLimit)) {
				r.note(Record{
					At: o.From.Sub(r.begun), What: Silent, Client: client, Address: a, Until: o.To.Sub(r.begun), Note: byEcho,
				})
			}
		}
	}
	var wg sync.WaitGroup
	for a, q := range r.probes.requests {
		wg.Go(func() {
			for _, w := range q.Stop().Windows {
				r.note(Record{
					At: w.Start.Sub(r.begun), What: Silent, Client: r.clients[0], Address: a, Until: w.End.Sub(r.begun),
					Note: byRequest,
				})
			}
		})
	}
	wg.Wait()
	events, err := r.watch.History()
	r.watch.Stop()
	for _, e := range events {
		what := map[owner.Kind]What{
			owner.Added: Added, owner.Removed: Removed, owner.Up: Up, owner.Down: Down,
		}[e.Kind]
		r.note(Record{At: max(e.Time.Sub(r.begun), 1), What: what, Node: e.Node, Address: e.Address})
	}
	r.history[1:].sort()
	return err
}

// gifts follow which load balancer has which address, as users see it.
type gifts struct {
	end context.CancelFunc
	all informers.SharedInformerFactory
}

func followGifts(ctx context.Context, r *runner) (*gifts, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	users := informers.WithNamespace("default")
	g := &gifts{end: end, all: informers.NewSharedInformerFactoryWithOptions(r.rig.Client, 0, users)}
	maps := g.all.Core().V1().ConfigMaps().Informer()
	change := func(object any, what What) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		cm, ok := object.(*corev1.ConfigMap)
		if !ok || cm.Labels["app"] != "loadbalancer" {
			return
		}
		if a, err := netip.ParseAddr(cm.Data["bind-ip"]); err == nil {
			r.note(Record{What: what, Name: cm.Name, Address: a})
		}
	}
	_, err := maps.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { change(o, Given) },
		UpdateFunc: func(old, now any) {
			before, _ := old.(*corev1.ConfigMap)
			after, _ := now.(*corev1.ConfigMap)
			if before != nil && after != nil && before.Data["bind-ip"] != after.Data["bind-ip"] {
				change(old, Taken)
				change(now, Given)
			}
		},
		DeleteFunc: func(o any) { change(o, Taken) },
	})
	if err != nil {
		end()
		return nil, err
	}
	g.all.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), maps.HasSynced) {
		end()
		return nil, errors.New("no list of load balancers")
	}
	return g, nil
}

func (g *gifts) stop() {
	g.end()
	g.all.Shutdown()
}
