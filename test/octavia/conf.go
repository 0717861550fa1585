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
	keystoneURL     = "http://" + keystoneAddress
	octaviaURL      = "http://" + octaviaAddress
)

// Password is everybody's. Nothing outside this machine can reach what it opens.
const Password = "lab-only"

type confData struct {
	Dir, Password, Keystone, Octavia string
	TokenSeconds                     int
}

// writeConf writes the daemons' files below dir/conf.
func (c *Cloud) writeConf() error {
	for _, d := range []string{"conf", "log", "lib", "ca", "keystone/fernet", "keystone/credential", "rabbit"} {
		if err := os.MkdirAll(filepath.Join(c.dir, d), 0o755); err != nil {
			return err
		}
	}
	data := confData{
		Dir: c.dir, Password: Password, Keystone: keystoneURL, Octavia: octaviaURL,
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
