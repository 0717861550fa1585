package octavia

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// User is one of the cloud's users; all have [Password].
type User struct {
	Name, Project string
	// Roles in the project.
	Roles []string
	// About says what the user is for.
	About string
}

// Users are those that the cloud has besides the administrator.
func Users() []User {
	const demo = "demo"
	return []User{
		{demo, demo, []string{"member", "load-balancer_member", "creator"}, "may do what a controller needs"},
		{"observer", demo, []string{"reader", "load-balancer_observer"}, "may only look"},
		{"nolb", demo, []string{"member"}, "may do nothing in Octavia: 403"},
		{"nosecrets", demo, []string{"member", "load-balancer_member"}, "may do nothing in Barbican: 403"},
		{"lbadmin", demo, []string{"member", "load-balancer_admin"}, "may also fail load balancers over"},
		{"other", "other", []string{"member", "load-balancer_member"}, "is of another project"},
	}
}

// identity is a conversation with Keystone as the administrator.
type identity struct {
	client *http.Client
	token  string
}

// seed makes the projects, users and roles, and enters Octavia, Neutron and Barbican into the catalogue.
func (c *Cloud) seed(ctx context.Context) error {
	k := &identity{client: c.http()}
	if err := k.login(ctx); err != nil {
		return fmt.Errorf("seed keystone: %w", err)
	}
	if err := k.seed(ctx); err != nil {
		return fmt.Errorf("seed keystone: %w", err)
	}
	return nil
}

// loginBody is the body of a login with the lab's password.
func loginBody(user, project string) map[string]any {
	const method = "password"
	domain := map[string]string{"id": "default"}
	return map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{method}, method: map[string]any{
			"user": map[string]any{"name": user, "domain": domain, method: Password}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain}},
	}}
}

func (k *identity) login(ctx context.Context) error {
	_, header, err := k.call(ctx, http.MethodPost, "/auth/tokens", loginBody("admin", "admin"))
	k.token = header.Get("X-Subject-Token")
	return err
}

func (k *identity) seed(ctx context.Context) error {
	ids := map[string]string{}
	get := func(kind, name string, more map[string]any) (string, error) {
		key := kind + "/" + name
		if ids[key] == "" {
			id, err := k.make(ctx, kind, name, more)
			if err != nil {
				return "", err
			}
			ids[key] = id
		}
		return ids[key], nil
	}
	users := Users()
	for _, name := range []string{"octavia", "barbican"} {
		users = append(users, User{Name: name, Project: "service", Roles: []string{"admin", "service"}})
	}
	for _, u := range users {
		project, err := get("project", u.Project, map[string]any{"domain_id": "default"})
		if err != nil {
			return err
		}
		user, err := get("user", u.Name, map[string]any{"domain_id": "default", "password": Password})
		if err != nil {
			return err
		}
		for _, r := range u.Roles {
			role, err := get("role", r, nil)
			if err != nil {
				return err
			}
			path := "/projects/" + project + "/users/" + user + "/roles/" + role
			if _, _, err := k.call(ctx, http.MethodPut, path, nil); err != nil {
				return err
			}
		}
	}
	for _, s := range []struct{ name, kind, url string }{
		{"octavia", "load-balancer", octaviaURL}, {"neutron", "network", neutronURL},
		{"barbican", "key-manager", barbicanURL},
	} {
		service, err := get("service", s.name, map[string]any{"type": s.kind})
		if err != nil {
			return err
		}
		for _, face := range []string{"public", "internal", "admin"} {
			endpoint := map[string]any{"endpoint": map[string]string{
				"service_id": service, "interface": face, "region_id": "RegionOne", "url": s.url}}
			if _, _, err := k.call(ctx, http.MethodPost, "/endpoints", endpoint); err != nil {
				return err
			}
		}
	}
	return nil
}

// make returns the id of the thing with that name, made if it is not there.
func (k *identity) make(ctx context.Context, kind, name string, more map[string]any) (string, error) {
	found, _, err := k.call(ctx, http.MethodGet, "/"+kind+"s?name="+name, nil)
	if err != nil {
		return "", err
	}
	var list []struct{ ID string }
	if err := json.Unmarshal(found[kind+"s"], &list); err != nil {
		return "", err
	}
	if len(list) > 0 {
		return list[0].ID, nil
	}
	thing := map[string]any{"name": name}
	maps.Copy(thing, more)
	made, _, err := k.call(ctx, http.MethodPost, "/"+kind+"s", map[string]any{kind: thing})
	if err != nil {
		return "", err
	}
	var one struct{ ID string }
	err = json.Unmarshal(made[kind], &one)
	return one.ID, err
}

func (k *identity) call(ctx context.Context, method, path string, body any) (map[string]json.RawMessage, http.Header,
	error,
) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, keystoneURL+"/v3"+path, bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if k.token != "" {
		r.Header.Set("X-Auth-Token", k.token)
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	out := map[string]json.RawMessage{}
	if len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	return out, resp.Header, err
}
