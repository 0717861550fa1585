package cli

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// Every key that users write has a flag, and a finding about the key names the flag.
func TestFlagsForKeys(t *testing.T) {
	// SSL of 2016 is --ports "80:http/HTTP, 443:http/HTTPS", or --protocol HTTPS.
	without := map[string]bool{configmap.KeySSL: true, configmap.KeyService: true}
	var w wishFlags
	cmd := &cobra.Command{}
	w.addTo(cmd)
	for _, k := range configmap.Keys() {
		if k.Written || without[k.Name] {
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
	cm := w.configMap("default")
	for _, o := range optionFlags() {
		if got := cm.Data[o.key]; got != "value of "+o.key {
			t.Errorf("%s is %q", o.key, got)
		}
	}
}
