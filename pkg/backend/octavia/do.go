package octavia

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// do makes one call, and enters into what is seen what will be once Octavia is done with it.
func (a *api) do(ctx context.Context, o Op, want Tree, s *Seen) error {
	switch o.Kind {
	case KindLoadBalancer:
		tags := tagsOf(s.Tags, want.beside(*s))
		body := map[string]any{"loadbalancer": map[string]any{"name": want.Name, "tags": tags}}
		if err := a.call(ctx, http.MethodPut, "loadbalancers/"+s.ID, body, nil); err != nil {
			return err
		}
		s.Name, s.Tags = want.Name, tags
		return nil
	case KindListener:
		return a.doListener(ctx, o, s)
	case KindPool:
		return a.doPool(ctx, o, s)
	case KindMonitor:
		return a.doMonitor(ctx, o, s)
	case KindPolicy, KindRule:
		return a.doPolicy(ctx, o, s)
	default:
		return fmt.Errorf("%s: no such operation", o)
	}
}

// erase deletes a thing; one that is gone already is as good.
func (a *api) erase(ctx context.Context, path string) error {
	err := a.call(ctx, http.MethodDelete, path, nil, nil)
	if err != nil && understand(err).trouble == troubleGone {
		return nil
	}
	return err
}

// made is the answer to a POST: of it only the id matters.
type made map[string]struct {
	ID string `json:"id"`
}

func (a *api) post(ctx context.Context, path, kind string, body any) (string, error) {
	var answer made
	if err := a.call(ctx, http.MethodPost, path, map[string]any{kind: body}, &answer); err != nil {
		return "", err
	}
	if answer[kind].ID == "" {
		return "", noID()
	}
	return answer[kind].ID, nil
}

func (a *api) put(ctx context.Context, path, kind string, body any) error {
	return a.call(ctx, http.MethodPut, path, map[string]any{kind: body}, nil)
}

func (s *Seen) poolID(name string) *string {
	if p := s.pool(name); p != nil && name != "" {
		return &p.ID
	}
	return nil
}

func (a *api) doListener(ctx context.Context, o Op, s *Seen) error {
	switch o.Verb {
	case Delete:
		if err := a.erase(ctx, "listeners/"+o.ID); err != nil {
			return err
		}
		s.Listeners = slices.DeleteFunc(s.Listeners, func(l SeenListener) bool { return l.ID == o.ID })
		return nil
	case Create:
		id, err := a.post(ctx, "listeners", "listener", newListener{
			Listener: *o.Listener, LoadBalancerID: s.ID, DefaultPoolID: s.poolID(o.Listener.DefaultPool),
		})
		if err != nil {
			return err
		}
		s.Listeners = append(s.Listeners, SeenListener{ID: id, Status: statusActive, Listener: *o.Listener})
		return nil
	default:
		body := changeOf(*o.Listener, s.poolID(o.Listener.DefaultPool))
		if err := a.put(ctx, "listeners/"+o.ID, "listener", body); err != nil {
			return err
		}
		if l := s.listener(o.Listener.Protocol, o.Listener.Port); l != nil {
			l.Listener = *o.Listener
		}
		return nil
	}
}

func (a *api) doPool(ctx context.Context, o Op, s *Seen) error {
	switch o.Verb {
	case Delete:
		if err := a.erase(ctx, "pools/"+o.ID); err != nil {
			return err
		}
		s.Pools = slices.DeleteFunc(s.Pools, func(p SeenPool) bool { return p.ID == o.ID })
		for i := range s.Listeners {
			if s.Listeners[i].DefaultPool == o.Name {
				s.Listeners[i].DefaultPool = "" // Octavia does so as well
			}
		}
		return nil
	case Create:
		id, err := a.post(ctx, "pools", "pool", newPool{Pool: *o.Pool, LoadBalancerID: s.ID})
		if err != nil {
			return err
		}
		p := SeenPool{ID: id, Status: statusActive, Pool: *o.Pool}
		p.Members, p.Monitor = nil, nil
		s.Pools = append(s.Pools, p)
		return nil
	}
	p := s.pool(o.Name)
	if p == nil {
		return fmt.Errorf("%s: the pool is gone", o)
	}
	if o.Verb == Fill {
		body := map[string]any{"members": append([]Member{}, o.Pool.Members...)}
		if err := a.call(ctx, http.MethodPut, "pools/"+p.ID+"/members", body, nil); err != nil {
			return err
		}
		p.Members = slices.Clone(o.Pool.Members)
		return nil
	}
	err := a.put(ctx, "pools/"+p.ID, "pool", poolChange{
		Name: o.Pool.Name, Method: o.Pool.Method, Persistence: o.Pool.Persistence, Tags: o.Pool.Tags,
	})
	if err == nil {
		p.Method, p.Persistence, p.Tags = o.Pool.Method, o.Pool.Persistence, o.Pool.Tags
	}
	return err
}

func (a *api) doMonitor(ctx context.Context, o Op, s *Seen) error {
	p := s.pool(o.Name)
	if p == nil {
		return fmt.Errorf("%s: the pool is gone", o)
	}
	switch o.Verb {
	case Delete:
		if err := a.erase(ctx, "healthmonitors/"+o.ID); err != nil {
			return err
		}
		p.Monitor, p.MonitorID, p.MonitorStatus = nil, "", ""
		return nil
	case Create:
		id, err := a.post(ctx, "healthmonitors", "healthmonitor", newMonitor{Monitor: *o.Pool.Monitor, PoolID: p.ID})
		if err != nil {
			return err
		}
		p.Monitor, p.MonitorID, p.MonitorStatus = o.Pool.Monitor, id, statusActive
		return nil
	default:
		m := *o.Pool.Monitor
		err := a.put(ctx, "healthmonitors/"+o.ID, "healthmonitor", monitorChange{
			Name: m.Name, Delay: m.Delay, Timeout: m.Timeout, Retries: m.Retries, RetriesDown: m.RetriesDown,
			Method: m.Method, Path: m.Path, Codes: m.Codes, Tags: m.Tags,
		})
		if err == nil {
			p.Monitor = o.Pool.Monitor
		}
		return err
	}
}

func (a *api) doPolicy(ctx context.Context, o Op, s *Seen) error {
	l := s.listener(protocolHTTP, o.Port)
	if l == nil {
		return fmt.Errorf("%s: the listener is gone", o)
	}
	if o.Verb == Delete {
		if err := a.erase(ctx, "l7policies/"+o.ID); err != nil {
			return err
		}
		l.Policies = slices.DeleteFunc(l.Policies, func(p SeenPolicy) bool { return p.ID == o.ID })
		return nil
	}
	if o.Verb == Create && o.Kind == KindPolicy {
		return a.createPolicy(ctx, o, s, l)
	}
	i := slices.IndexFunc(l.Policies, func(p SeenPolicy) bool { return p.Name == o.Name })
	if i < 0 {
		return fmt.Errorf("%s: the policy is gone", o)
	}
	p := &l.Policies[i]
	if o.Kind == KindRule {
		_, err := a.post(ctx, "l7policies/"+p.ID+"/rules", "rule", o.Policy.Rules[o.Position-1])
		if err == nil {
			p.Rules++
		}
		return err
	}
	err := a.put(ctx, "l7policies/"+p.ID, "l7policy", map[string]any{"admin_state_up": true})
	if err == nil {
		p.Off = false
	}
	return err
}

func (a *api) createPolicy(ctx context.Context, o Op, s *Seen, l *SeenListener) error {
	pool := s.poolID(o.Policy.Pool)
	if pool == nil {
		return fmt.Errorf("%s: its pool is gone", o)
	}
	on := len(o.Policy.Rules) == 1
	id, err := a.post(ctx, "l7policies", "l7policy", newPolicy{
		Policy: *o.Policy, Action: actionPool, Position: o.Position, ListenerID: l.ID, PoolID: *pool, On: on,
	})
	if err != nil {
		return err
	}
	l.Policies = append(l.Policies, SeenPolicy{ID: id, Status: statusActive, Name: o.Policy.Name, Off: !on})
	return nil
}
