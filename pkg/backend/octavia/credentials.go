package octavia

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

// Credentials say how to log in, as users of OpenStack have it: a clouds.yaml (with a secure.yaml beside it, if there
// is one), or the OS_* variables of an openrc. They are read at each login, so that a changed Secret is taken over.
type Credentials struct {
	// CloudsFile is the path of a clouds.yaml; empty means the variables.
	CloudsFile string
	// Cloud is the entry of the file. Default: OS_CLOUD, or "openstack".
	Cloud string
	// Getenv reads the variables; nil means that there are none.
	Getenv func(string) string
	// Transport replaces the way to the services, for tests; nil means the usual one, with the CA of the credentials.
	Transport http.RoundTripper
}

// login is a way into OpenStack.
type login struct {
	auth     gophercloud.AuthOptions
	endpoint gophercloud.EndpointOpts
	tls      *tls.Config
}

// read reads the credentials anew.
func (c Credentials) read() (login, error) {
	getenv := c.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	var l login
	var err error
	if c.CloudsFile != "" {
		l, err = c.readFile(getenv)
	} else {
		l, err = readVariables(getenv)
	}
	if err != nil {
		return login{}, err
	}
	// Without it a controller ends with its first token, after an hour or so.
	l.auth.AllowReauth = true
	return l, nil
}

func (c Credentials) readFile(getenv func(string) string) (login, error) {
	name := orElse(orElse(c.Cloud, getenv("OS_CLOUD")), "openstack")
	auth, endpoint, tlsConfig, err := clouds.Parse(clouds.WithLocations(c.CloudsFile), clouds.WithCloudName(name))
	if err != nil {
		return login{}, fmt.Errorf("credentials %s: %s", c.CloudsFile, discreet(err))
	}
	if auth.IdentityEndpoint == "" {
		return login{}, fmt.Errorf("credentials %s: cloud %s has no auth_url", c.CloudsFile, name)
	}
	return login{auth: auth, endpoint: endpoint, tls: tlsConfig}, nil
}

// yamlLine is where a parser of YAML has found a fault.
var yamlLine = regexp.MustCompile(`\bline [0-9]+\b`)

// discreet says what is wrong with a clouds.yaml without a word of the file: a parser quotes what it does not like,
// which may be a password, and what it says gets into logs and onto objects.
func discreet(err error) string {
	text := err.Error()
	for _, harmless := range []string{"clouds file not found", "cloud \"", "unable to compute TLS configuration"} {
		if strings.HasPrefix(text, harmless) {
			return text
		}
	}
	if line := yamlLine.FindString(text); line != "" {
		return "it, or the secure.yaml beside it, is not valid, " + line
	}
	return "it, or the secure.yaml beside it, is not valid"
}

// readVariables understands the variables of today and those of 2016, when projects were tenants and Keystone had a
// version 2, which is no more: the same address with /v3 takes its place.
func readVariables(getenv func(string) string) (login, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	url := strings.TrimSuffix(getenv("OS_AUTH_URL"), "/")
	if url == "" {
		return login{}, errors.New("credentials: neither a clouds.yaml nor OS_AUTH_URL is given")
	}
	if before, ok := strings.CutSuffix(url, "/v2.0"); ok {
		url = before + "/v3"
	}
	l := login{
		auth: gophercloud.AuthOptions{
			IdentityEndpoint:            url,
			ApplicationCredentialID:     getenv("OS_APPLICATION_CREDENTIAL_ID"),
			ApplicationCredentialName:   getenv("OS_APPLICATION_CREDENTIAL_NAME"),
			ApplicationCredentialSecret: getenv("OS_APPLICATION_CREDENTIAL_SECRET"),
			Username:                    getenv("OS_USERNAME"), UserID: getenv("OS_USER_ID"), Password: getenv("OS_PASSWORD"),
		},
		endpoint: gophercloud.EndpointOpts{
			Region: getenv("OS_REGION_NAME"), Availability: availability(first("OS_INTERFACE", "OS_ENDPOINT_TYPE")),
		},
	}
	if l.auth.ApplicationCredentialID == "" {
		userDomain(&l.auth, first("OS_USER_DOMAIN_ID", "OS_DOMAIN_ID"), first("OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"))
	}
	if l.auth.ApplicationCredentialSecret == "" {
		l.auth.Scope = scope(first)
	}
	var err error
	l.tls, err = trust(getenv("OS_CACERT"), getenv("OS_INSECURE") == "true")
	return l, err
}

// userDomain fills in the domain of the user, which everybody had in common in 2016.
func userDomain(auth *gophercloud.AuthOptions, id, name string) {
	if auth.UserID != "" {
		return
	}
	if id == "" && name == "" {
		id = "default"
	}
	auth.DomainID = id
	if id == "" {
		auth.DomainName = name
	}
}

func scope(first func(...string) string) *gophercloud.AuthScope {
	if id := first("OS_PROJECT_ID", "OS_TENANT_ID"); id != "" {
		return &gophercloud.AuthScope{ProjectID: id}
	}
	name := first("OS_PROJECT_NAME", "OS_TENANT_NAME")
	if name == "" {
		return nil
	}
	s := &gophercloud.AuthScope{ProjectName: name, DomainID: first("OS_PROJECT_DOMAIN_ID", "OS_DOMAIN_ID")}
	if s.DomainID == "" {
		s.DomainName = first("OS_PROJECT_DOMAIN_NAME", "OS_DOMAIN_NAME")
	}
	if s.DomainID == "" && s.DomainName == "" {
		s.DomainID = "default"
	}
	return s
}

func availability(face string) gophercloud.Availability {
	switch strings.TrimSuffix(face, "URL") {
	case "internal":
		return gophercloud.AvailabilityInternal
	case "admin":
		return gophercloud.AvailabilityAdmin
	default:
		return gophercloud.AvailabilityPublic
	}
}

// trust makes the TLS configuration for a CA file beside the system's own CAs.
func trust(caFile string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	config.InsecureSkipVerify = insecure // OS_INSECURE asks for it
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("credentials: OS_CACERT: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("credentials: OS_CACERT: %s holds no certificate", caFile)
	}
	config.RootCAs = pool
	return config, nil
}

// session is a login that has happened.
type session struct {
	octavia *gophercloud.ServiceClient
	// neutron and barbican are nil until they are asked for.
	neutron  *gophercloud.ServiceClient
	barbican *gophercloud.ServiceClient
	endpoint gophercloud.EndpointOpts
	mu       sync.Mutex
}

// network finds Neutron in the catalogue. That makes a call, and nobody waits for another one's.
func (s *session) network() (*gophercloud.ServiceClient, error) {
	s.mu.Lock()
	known := s.neutron
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	client, err := openstack.NewNetworkV2(s.octavia.ProviderClient, s.endpoint)
	if err != nil {
		f := &failure{trouble: loginTrouble(err), text: "no Neutron in the catalogue: " + words(err), err: err}
		if _, missing := errors.AsType[*gophercloud.ErrEndpointNotFound](err); missing {
			f.trouble = troubleRefused
		}
		return nil, f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.neutron = client
	return client, nil
}

// connect logs in and finds Octavia in the catalogue.
func (c Credentials) connect(ctx context.Context) (*session, error) {
	l, err := c.read()
	if err != nil {
		return nil, &failure{trouble: troubleLogin, text: err.Error(), err: err}
	}
	client, err := openstack.NewClient(l.auth.IdentityEndpoint)
	if err != nil {
		return nil, &failure{trouble: troubleLogin, text: err.Error(), err: err}
	}
	client.UserAgent.Prepend("kubectl-lb")
	way := c.Transport
	if way == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the library's own
		transport.TLSClientConfig = l.tls
		way = transport
	}
	client.HTTPClient = http.Client{Transport: bounded{next: way, limit: DefaultReadLimit}}
	if err := openstack.Authenticate(ctx, client, l.auth); err != nil {
		return nil, &failure{trouble: loginTrouble(err), text: "cannot log in: " + words(err), err: err}
	}
	service, err := openstack.NewLoadBalancerV2(client, l.endpoint)
	if err != nil {
		return nil, &failure{trouble: loginTrouble(err), text: "no Octavia in the catalogue: " + words(err), err: err}
	}
	return &session{octavia: service, endpoint: l.endpoint}, nil
}
