package octavia

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed conf
var confFiles embed.FS

// The services' addresses inside the namespace.
const (
	keystoneAddress = "127.0.0.1:5000"
	octaviaAddress  = "127.0.0.1:9876"
	barbicanAddress = "127.0.0.1:9311"
	keystoneURL     = "http://" + keystoneAddress
	octaviaURL      = "http://" + octaviaAddress
	barbicanURL     = "http://" + barbicanAddress
	neutronURL      = "http://127.0.0.1:9696" // only in the catalogue: see [Gate]
)

// Password is everybody's. Nothing outside this machine can reach what it opens.
const Password = "lab-only"

// What Neutron has, as far as Octavia can tell: a network with two subnets, and a port with an address. Any other ID is
// as good, but nothing belongs together there.
const (
	Network     = "99999999-2222-3333-4444-555555555555"
	Subnet      = "11111111-2222-3333-4444-555555555555"
	SubnetIPv6  = "66666666-2222-3333-4444-555555555555"
	Port        = "77777777-2222-3333-4444-555555555555"
	PortAddress = "198.51.100.77"
)

type confData struct {
	Dir, Password, Keystone, Octavia, Barbican     string
	Network, Subnet, SubnetIPv6, Port, PortAddress string
	TokenSeconds                                   int
}

// writeConf writes the daemons' files below dir/conf.
func (c *Cloud) writeConf() error {
	for _, d := range []string{"conf", "log", "lib", "ca", "keystone/fernet", "keystone/credential", "rabbit"} {
		if err := os.MkdirAll(filepath.Join(c.dir, d), 0o755); err != nil {
			return err
		}
	}
	data := confData{
		Dir: c.dir, Password: Password, Keystone: keystoneURL, Octavia: octaviaURL, Barbican: barbicanURL,
		Network: Network, Subnet: Subnet, SubnetIPv6: SubnetIPv6, Port: Port, PortAddress: PortAddress,
		TokenSeconds: int(c.options.TokenLife.Seconds()),
	}
	templates, err := template.ParseFS(confFiles, "conf/*")
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	for _, t := range templates.Templates() {
		var b bytes.Buffer
		if err := t.Execute(&b, data); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		if err := os.WriteFile(c.path("conf", t.Name()), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	fixed := map[string]string{"policy.yaml": "{}\n", "enabled_plugins": "[].\n"}
	for name, text := range fixed {
		if err := os.WriteFile(c.path("conf", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}
