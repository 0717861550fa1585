package e2e

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// TestWalkthrough2016 follows the README of 2016 with the files in examples/: application, ConfigMap, read bind-ip from
// the object, curl it. (Its first step, the controller, is the rig's installation.)
func TestWalkthrough2016(t *testing.T) {
	ctx := t.Context()
	if _, err := shared.MustKubectl(ctx, "", "create", "-f", "examples/coffee-configmap.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, loadBalancer("configmap-coffee-svc")) })

	if _, err := shared.WaitServing(ctx, "default", "configmap-coffee-svc"); err != nil {
		t.Fatal(err)
	}
	yaml, err := shared.MustKubectl(ctx, "", "get", "configmap", "configmap-coffee-svc", "-o", "yaml")
	must(t, err)
	match := regexp.MustCompile(`(?m)^  bind-ip: "?([0-9.]+)"?$`).FindStringSubmatch(yaml)
	if match == nil {
		t.Fatalf("no bind-ip in\n%s", yaml)
	}
	if _, err := netip.ParseAddr(match[1]); err != nil {
		t.Fatal(err)
	}
	page, err := shared.Get(ctx, "client", "http://"+match[1]+"/")
	must(t, err)
	for _, want := range []string{"Hello", "coffee-rc-", "URI"} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	out, err := shared.MustKubectl(ctx, "", "get", "events", "--field-selector",
		"involvedObject.name=configmap-coffee-svc", "-o", "jsonpath={.items[*].reason}")
	must(t, err)
	if strings.TrimSpace(out) == "" {
		t.Error("no Event on the ConfigMap")
	}
}

// TestLegacyMinimum: only the keys that 2016 could not do without.
func TestLegacyMinimum(t *testing.T) {
	ip := serve(t, "coffee-minimal", "namespace: default", "target-service-name: coffee-svc")
	if page, err := shared.Get(t.Context(), "client", "http://"+ip+"/"); err != nil ||
		!strings.Contains(strings.ToLower(page), "hello") {
		t.Errorf("got %q, %v", page, err)
	}
}
