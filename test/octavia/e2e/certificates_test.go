package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

// renew puts a new certificate into a Secret, which it makes if there is none. It returns the certificate's PEM.
func renew(t *testing.T, secret string) string {
	t.Helper()
	p := certtest.Make(t, certtest.Options{Names: []string{secret + ".example"}, CommonName: secret + ".example"})
	must(t, shared.Apply(t.Context(), "apiVersion: v1\nkind: Secret\nmetadata: {name: "+secret+", namespace: default}\ntype: kubernetes.io/tls\n"+
		"data:\n  tls.crt: "+base64.StdEncoding.EncodeToString(p.Cert)+"\n  tls.key: "+base64.StdEncoding.EncodeToString(p.Key)+"\n"))
	return string(p.Cert)
}

// containers are the IDs of those that a load balancer's listener has: the default, and then the others.
func containers(t *testing.T, id string) (ids []string) {
	t.Helper()
	for _, statement := range []string{
		"select tls_certificate_id from listener where load_balancer_id='" + id + "'",
		"select s.tls_container_id from sni s join listener i on s.listener_id=i.id where i.load_balancer_id='" + id + "' order by s.position",
	} {
		out, err := cloud.SQL(t.Context(), statement)
		must(t, err)
		for ref := range strings.FieldsSeq(out) {
			ids = append(ids, path.Base(ref))
		}
	}
	return ids
}

// kept are the names of all that Barbican has for an object, sorted.
func kept(t *testing.T, name string) []string {
	t.Helper()
	const of = " where deleted=0 and name like 'kubectl-lb %% default/%s %%'"
	out, err := cloud.SQL(t.Context(), fmt.Sprintf("select name from barbican.containers"+of+" union all select name from barbican.secrets"+of+
		" order by 1", name, name))
	must(t, err)
	return slices.Collect(func(yield func(string) bool) {
		for line := range strings.Lines(out) {
			if !yield(strings.TrimSpace(line)) {
				return
			}
		}
	})
}

// TestCertificates has HTTPS with the certificates of two Secrets, by way of a real Barbican. One is renewed; then the
// object goes, and nothing stays in Barbican.
func TestCertificates(t *testing.T) {
	const name = "tls-secrets"
	renew(t, "coffee")
	renew(t, "tea")
	want(t, name, "protocol: HTTPS", "bind-port: 443", "tls-secret-name: coffee, tea")
	got := serving(t, name)
	shows(t, got.ID, []string{"listener https-443 protocol TERMINATED_HTTPS"})
	before := containers(t, got.ID)
	if all := kept(t, name); len(before) != 2 || len(all) != 6 {
		t.Fatalf("%v, %q", before, all)
	}

	renew(t, "coffee")
	until(t, "the new certificate alone", func() (bool, string) {
		now, all := containers(t, got.ID), kept(t, name)
		return len(now) == 2 && now[0] != before[0] && now[1] == before[1] && len(all) == 6, fmt.Sprint(now, all)
	})
	if again := serving(t, name); again.ID != got.ID {
		t.Errorf("another load balancer: %+v", again)
	}

	remove(t, name)
	if all := kept(t, name); len(all) > 0 {
		t.Errorf("the ConfigMap is gone, and Barbican still has %q", all)
	}
}

// TestBarbicanRefuses is about a user whom Barbican lets do nothing, and a Barbican that is away: the object says it, no load
// balancer is made, and one is as soon as Barbican lets it.
func TestBarbicanRefuses(t *testing.T) {
	renew(t, "milk")
	nobody, err := people.Login(t.Context(), "nosecrets")
	must(t, err)
	for _, c := range []struct {
		name   string
		fault  octavia.Fault
		status string
		says   string
	}{
		{"denied", octavia.Fault{KeyManager: true, Token: nobody.Token()}, "ERROR", "LB0603"},
		{"away", octavia.Fault{KeyManager: true, Status: http.StatusServiceUnavailable}, "PENDING", "Barbican: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			gate.Break(c.fault)
			t.Cleanup(gate.Mend)
			name := "barbican-" + c.name
			want(t, name, "protocol: HTTPS", "bind-port: 443", "tls-secret-name: milk")
			data, err := shared.WaitStatus(t.Context(), "default", name, c.status, limit)
			must(t, err)
			until(t, c.says, func() (bool, string) {
				data, err = shared.Data(t.Context(), "default", name)
				return err == nil && strings.Contains(data["status"], c.says), fmt.Sprint(data, err)
			})
			t.Log(data["status"])
			if made := rows(t, "default-"+name+"-loadbalancer"); len(made) > 0 {
				t.Errorf("%+v", made)
			}
			gate.Mend()
			serving(t, name)
		})
	}
}

// TestNoBarbican is about a cloud whose catalogue has none: the object says it, and nothing is made.
func TestNoBarbican(t *testing.T) {
	const name = "no-barbican"
	renew(t, "water")
	gate.Hide("key-manager")
	t.Cleanup(func() { gate.Hide(""); must(t, killLeader(context.WithoutCancel(t.Context()))) })
	must(t, killLeader(t.Context())) // the catalogue comes with the login
	want(t, name, "protocol: HTTPS", "bind-port: 443", "tls-secret-name: water")
	data, err := shared.WaitStatus(t.Context(), "default", name, "ERROR", limit)
	must(t, err)
	t.Log(data["status"])
	if made := rows(t, "default-"+name+"-loadbalancer"); len(made) > 0 || !strings.Contains(data["status"], "LB0401 this OpenStack has no Barbican") {
		t.Errorf("%q, %+v", data["status"], made)
	}
	remove(t, name)
}
