package octavia

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
)

func variables(pairs map[string]string) Credentials {
	return Credentials{Getenv: func(name string) string { return pairs[name] }}
}

func TestVariables(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want gophercloud.AuthOptions
	}{
		"2016": {
			map[string]string{"OS_AUTH_URL": "http://k:5000/v2.0/", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_TENANT_NAME": "t"},
			gophercloud.AuthOptions{IdentityEndpoint: "http://k:5000/v3", Username: "u", Password: "p", DomainID: "default",
				Scope: &gophercloud.AuthScope{ProjectName: "t", DomainID: "default"}},
		},
		"tenant by id": {
			map[string]string{"OS_AUTH_URL": "http://k/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_TENANT_ID": "t"},
			gophercloud.AuthOptions{IdentityEndpoint: "http://k/v3", Username: "u", Password: "p", DomainID: "default",
				Scope: &gophercloud.AuthScope{ProjectID: "t"}},
		},
		"today": {
			map[string]string{"OS_AUTH_URL": "http://k/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "t",
				"OS_USER_DOMAIN_NAME": "UD", "OS_PROJECT_DOMAIN_NAME": "PD"},
			gophercloud.AuthOptions{IdentityEndpoint: "http://k/v3", Username: "u", Password: "p", DomainName: "UD",
				Scope: &gophercloud.AuthScope{ProjectName: "t", DomainName: "PD"}},
		},
		"user by id": {
			map[string]string{"OS_AUTH_URL": "http://k/v3", "OS_USER_ID": "u", "OS_PASSWORD": "p", "OS_PROJECT_ID": "t"},
			gophercloud.AuthOptions{IdentityEndpoint: "http://k/v3", UserID: "u", Password: "p",
				Scope: &gophercloud.AuthScope{ProjectID: "t"}},
		},
		"application credential": {
			map[string]string{"OS_AUTH_URL": "http://k/v3", "OS_APPLICATION_CREDENTIAL_ID": "i",
				"OS_APPLICATION_CREDENTIAL_SECRET": "s", "OS_PROJECT_NAME": "ignored"},
			gophercloud.AuthOptions{IdentityEndpoint: "http://k/v3", ApplicationCredentialID: "i", ApplicationCredentialSecret: "s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := variables(tt.env).read()
			if err != nil {
				t.Fatal(err)
			}
			tt.want.AllowReauth = true // or the first token is the last
			if d := cmp.Diff(tt.want, l.auth); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEndpoint(t *testing.T) {
	for face, want := range map[string]gophercloud.Availability{
		"": gophercloud.AvailabilityPublic, "public": gophercloud.AvailabilityPublic, "internal": gophercloud.AvailabilityInternal,
		"internalURL": gophercloud.AvailabilityInternal, "admin": gophercloud.AvailabilityAdmin,
	} {
		l, err := variables(map[string]string{"OS_AUTH_URL": "x", "OS_REGION_NAME": "R", "OS_INTERFACE": face}).read()
		if err != nil || l.endpoint.Availability != want || l.endpoint.Region != "R" {
			t.Errorf("%s: %+v, %v", face, l.endpoint, err)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("clouds.yaml", "clouds:\n  one:\n    region_name: R\n    auth: {auth_url: http://k/v3, username: u, password: p, "+
		"project_name: t}\n  app:\n    auth_type: v3applicationcredential\n    auth: {auth_url: http://k/v3, "+
		"application_credential_id: i, application_credential_secret: s}\n  empty:\n    auth: {}\n")
	l, err := Credentials{CloudsFile: file, Cloud: "one"}.read()
	if err != nil || l.auth.Username != "u" || l.endpoint.Region != "R" || !l.auth.AllowReauth {
		t.Errorf("%+v, %v", l.auth, err)
	}
	l, err = Credentials{CloudsFile: file, Getenv: func(string) string { return "app" }}.read()
	if err != nil || l.auth.ApplicationCredentialID != "i" {
		t.Errorf("%+v, %v", l.auth, err)
	}
	bad := write("bad.yaml", ":\t:")
	for want, c := range map[string]Credentials{
		`"openstack" not found`: {CloudsFile: file},
		"has no auth_url":       {CloudsFile: file, Cloud: "empty"},
		"clouds file not found": {CloudsFile: filepath.Join(dir, "absent.yaml")},
		"credentials " + bad:    {CloudsFile: bad},
		"neither a clouds.yaml": {},
		"OS_CACERT":             variables(map[string]string{"OS_AUTH_URL": "x", "OS_CACERT": filepath.Join(dir, "absent")}),
		"holds no certificate":  variables(map[string]string{"OS_AUTH_URL": "x", "OS_CACERT": file}),
	} {
		_, err := c.read()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestDiscreet: what is wrong in a file is said without what is in it.
func TestDiscreet(t *testing.T) {
	for _, text := range []string{
		"clouds:\n  openstack:\n    auth: {auth_url: http://k/v3, password: [hush]}\n", "clouds: hush\n", "hush", "clouds: {x: hush}\n",
		"clouds:\n  openstack:\n    auth:\n      password: \"hush\n", "clouds:\n  openstack: {verify: hush}\n", "a: *hush\n",
		"clouds:\n  openstack:\n    auth: {password: !!int hush}\n",
	} {
		file := filepath.Join(t.TempDir(), "clouds.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Credentials{CloudsFile: file}.connect(t.Context())
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestCA reaches a Keystone with a certificate of its own authority only where OS_CACERT names that.
func TestCA(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"message":"who are you?"}}`, http.StatusUnauthorized)
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"OS_AUTH_URL": server.URL + "/v3", "OS_USERNAME": "u", "OS_PASSWORD": "p"}
	_, err := variables(env).connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the CA: %v", err)
	}
	env["OS_CACERT"] = ca
	_, err = variables(env).connect(t.Context())
	if err == nil || understand(err).trouble != troubleLogin || !strings.Contains(err.Error(), "who are you?") {
		t.Errorf("with the CA: %v", err)
	}
}
