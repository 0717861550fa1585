package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/certs/certtest"
	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// clusterDNS stands for the cluster's DNS, which the lab has not: a Service of that name whose pods echo.
const clusterDNS = `apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  annotations: {kubectl-lb.io/allow-from-namespaces: default}
spec:
  selector: {app: stand-in}
  ports:
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: v1
kind: Pod
metadata: {name: stand-in, namespace: kube-system, labels: {app: stand-in}}
spec:
  containers:
    - name: hello
      image: nginxdemos/hello
      env: [{name: TCP_PORT, value: "53"}, {name: UDP_PORT, value: "53"}]
`

// An example is a file of examples/ that asks for load balancers.
type example struct {
	// objects are its ConfigMaps, the first of which is asked.
	objects []string
	// needs are manifests that it needs besides the two applications.
	needs string
	// check asks it at its address.
	check func(t *testing.T, ip string)
}

// TestExamples: every example serves, as it stands, what its comment says.
func TestExamples(t *testing.T) {
	cert := certtest.New(t, "tea.example.com")
	examples := map[string]example{
		"coffee": {objects: []string{"configmap-coffee-svc"}, check: hasPage("", "/", 200, "coffee-rc")},
		"http": {objects: []string{"tea-menu"}, check: func(t *testing.T, ip string) {
			hasPage("tea.example.com", "/menu", 200, "tea-")(t, ip)
			hasPage("tea.example.com", "/", 404, "")(t, ip)
			hasPage("example.org", "/menu", 404, "")(t, ip)
		}},
		"requested-ip": {objects: []string{"tea-fixed"}, check: func(t *testing.T, ip string) {
			if ip != exampleAddress {
				t.Errorf("its address is %s, not the one that it asks for, %s", ip, exampleAddress)
			}
			hasPage("", "/", 200, "tea-")(t, ip+":8080")
		}},
		"routes": {objects: []string{"cafe"}, check: func(t *testing.T, ip string) {
			hasPage("tea.example.com", "/", 200, "tea-")(t, ip)
			hasPage("coffee.example.com", "/menu", 200, "/coffee")(t, ip)
			hasPage("iced.example.com", "/", 200, "-")(t, ip)
		}},
		"endpoints": {objects: []string{"tea-pods"}, check: hasPage("", "/", 200, "tea-")},
		"shared": {objects: []string{"shared-tea", "shared-coffee"}, check: func(t *testing.T, ip string) {
			hasPage("tea.example.com", "/", 200, "tea-")(t, ip)
			hasPage("coffee.example.com", "/", 200, "coffee-rc")(t, ip)
		}},
		"tls": {objects: []string{"tea-tls"}, needs: secretOf("tea-cert", cert), check: func(t *testing.T, ip string) {
			hasPage("tea.example.com", "/", http.StatusPermanentRedirect, "")(t, ip)
			got, err := visit(t.Context(), ip+":443/", "tea.example.com", believing(cert))
			if err != nil || got.code != http.StatusOK || !strings.Contains(got.body, "tea-") {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		"dns": {objects: []string{"cluster-dns"}, needs: clusterDNS, check: func(t *testing.T, ip string) {
			for _, network := range []string{"tcp", "udp"} {
				// The stand-in has just been made, and nobody says when all nodes have heard of it.
				must(t, rig.Wait(t.Context(), time.Minute, network+" to answer", func() (bool, string) {
					got := exchange(t, network, ip+":53", "who\n", "who")
					return strings.HasPrefix(got, "hello from "), got
				}))
			}
		}},
	}
	files, err := filepath.Glob(filepath.Join(shared.Repo, "examples", "*-configmap.yaml"))
	must(t, err)
	if len(files) != len(examples) {
		t.Errorf("there are %d files of ConfigMaps in examples/, and %d are known here", len(files), len(examples))
	}
	for name, e := range examples {
		t.Run(name, func(t *testing.T) { e.run(t, name) })
	}
}

// exampleAddress is what the lab has in place of the address that examples/requested-ip-configmap.yaml asks for.
const exampleAddress = "10.88.96.80"

// run applies the example and asks it.
func (e example) run(t *testing.T, name string) {
	text, err := os.ReadFile(filepath.Join(shared.Repo, "examples", name+"-configmap.yaml"))
	must(t, err)
	if e.needs != "" {
		apply(t, e.needs)
	}
	apply(t, strings.ReplaceAll(string(text), "192.0.2.80\n", exampleAddress+"\n"))
	var addresses []string
	for _, object := range e.objects {
		ip, err := shared.WaitServing(t.Context(), "default", object)
		must(t, err)
		if addresses = append(addresses, ip); ip != addresses[0] {
			t.Errorf("%s and %s have two addresses, %s and %s", e.objects[0], object, addresses[0], ip)
		}
	}
	e.check(t, addresses[0])
}

// hasPage asks for a page, which must have that status and text.
func hasPage(host, path string, code int, text string) func(*testing.T, string) {
	return func(t *testing.T, address string) {
		t.Helper()
		got, _, body := fetch(t, address+path, host)
		if got != code || !strings.Contains(body, text) {
			t.Errorf("%s%s: %d %q, want %d with %q", host, path, got, body, code, text)
		}
	}
}
