package octavia

import (
	"fmt"
	"strings"
)

// CloudsYAML is a clouds.yaml with a cloud for each of [Users], by way of the gate.
func (g *Gate) CloudsYAML() string { return CloudsYAML(g.AuthURL()) }

// CloudsYAML is a clouds.yaml with a cloud for each of [Users], for that Keystone.
func CloudsYAML(authURL string) string {
	var b strings.Builder
	b.WriteString("clouds:\n")
	for _, u := range Users() {
		fmt.Fprintf(&b, "  %s: # %s\n    region_name: RegionOne\n    identity_api_version: 3\n    auth:\n", u.Name, u.About)
		fmt.Fprintf(&b, "      auth_url: %s\n      username: %s\n      password: %s\n", authURL, u.Name, Password)
		fmt.Fprintf(&b, "      project_name: %s\n", u.Project)
		b.WriteString("      user_domain_id: default\n      project_domain_id: default\n")
	}
	return b.String()
}
