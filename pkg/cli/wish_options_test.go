package cli

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// Every key that users write has a flag, and a finding about the key names the flag.
func TestFlagsForKeys(t *testing.T) {
	var w wishFlags
	cmd := &cobra.Command{}
	w.addTo(cmd)
	for _, k := range configmap.Keys() {
		if k.Written || k.Name == configmap.KeyService { // the Service is an argument
			continue
		}
		flag := flagOf("data[" + k.Name + "]")
		if flag == "" || cmd.Flags().Lookup(flag[len("--"):]) == nil {
			t.Errorf("key %s has no flag (%q)", k.Name, flag)
		}
	}
}

// What the flags say is in the object.
func TestOptionFlags(t *testing.T) {
	w := wishFlags{service: "web", name: "web"}
	cmd := &cobra.Command{}
	w.addTo(cmd)
	for _, o := range optionFlags() {
		if err := cmd.Flags().Set(o.key, "value of "+o.key); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := w.configMap("default").Data[configmap.KeySSL]; ok {
		t.Error("SSL is there unasked")
	}
	if err := cmd.Flags().Set("ssl", "true"); err != nil {
		t.Fatal(err)
	}
	cm := w.configMap("default")
	if got := cm.Data[configmap.KeySSL]; got != "true" {
		t.Errorf("SSL is %q", got)
	}
	for _, o := range optionFlags() {
		if got := cm.Data[o.key]; got != "value of "+o.key {
			t.Errorf("%s is %q", o.key, got)
		}
	}
}
