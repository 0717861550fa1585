package configmap

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// The keys of load balancers that a cloud makes.
const (
	KeyProvider       = "provider"
	KeySubnet         = "vip-subnet"
	KeySubnetIPv6     = "vip-subnet-ipv6"
	KeyNetwork        = "vip-network"
	KeyVIPPort        = "vip-port"
	KeyInternal       = "internal"
	KeyFloatNetwork   = "floating-network"
	KeyFloatSubnet    = "floating-subnet"
	KeyFloatKeep      = "keep-floating-ip"
	KeyAdopt          = "adopt"
	KeyTLSContainer   = "tls-container"
	KeyMemberSubnet   = "member-subnet"
	KeyFlavor         = "flavor"
	KeyZone           = "availability-zone"
	KeyDriver         = "octavia-provider"
	KeyClientTimeout  = "client-timeout"
	KeyInspectTimeout = "inspect-timeout"
	KeyForwardedFor   = "x-forwarded-for"
	KeyMember         = "member"
	KeyNodeSelector   = "node-selector"
	KeyMonitorType    = "monitor-type"
	KeyMonitorDelay   = "monitor-delay"
	KeyMonitorTimeout = "monitor-timeout"
	KeyMonitorUp      = "monitor-retries"
	KeyMonitorDown    = "monitor-retries-down"
	KeyMonitorPath    = "monitor-path"
	KeyMonitorCodes   = "monitor-codes"
)

// CloudKeys returns the keys that say who makes a load balancer, and what a cloud is asked for.
func CloudKeys() []Key {
	const next = "0.1"
	keys := slices.Concat(placementKeys(), floatingKeys(), trafficKeys(), monitorKeys())
	for i := range keys {
		keys[i].Since, keys[i].Cloud = next, true
	}
	return append([]Key{{Name: KeyProvider, Takes: "`software` or `octavia`", Default: "the controller's `backend`",
		Since: next, Meaning: "What makes the load balancer: the daemons of kubectl-lb, or OpenStack's Octavia " +
			"([octavia.md](octavia.md)). Changing it makes another load balancer, with another address.",
		read: (*reading).readProvider}}, keys...)
}

const (
	takesID       = "a UUID"
	configured    = "the controller's configuration"
	takesWhole    = "a time of whole seconds, from `1s`"
	takesAttempts = "1 to 10"
	takesFlag     = "`true` or `false`"
	takesTime     = "a time from `1s` to `24h`"
)

// placementKeys returns those that count while the load balancer is made.
func placementKeys() []Key {
	id := func(name, meaning string, into func(*lb.Cloud) *string) Key {
		return Key{Name: name, Takes: takesID, Default: configured, Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud) = r.uuid(name, v) }}
	}
	word := func(name, takes, meaning string, into func(*lb.Cloud) *string) Key {
		return Key{Name: name, Takes: takes, Default: configured, Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud) = r.word(name, v) }}
	}
	return []Key{
		id(KeySubnet, "Octavia: the subnet of the address. It counts when the load balancer is made, as do the keys down "+
			"to octavia-provider.", func(c *lb.Cloud) *string { return &c.Subnet }),
		id(KeySubnetIPv6, "Octavia: the subnet of the IPv6 address, where ip-families asks for one.",
			func(c *lb.Cloud) *string { return &c.SubnetIPv6 }),
		id(KeyNetwork, "Octavia: the network of the address, in place of vip-subnet; Neutron chooses the subnet.",
			func(c *lb.Cloud) *string { return &c.Network }),
		id(KeyVIPPort, "Octavia: a port of Neutron that is there already and whose address the load balancer takes.",
			func(c *lb.Cloud) *string { return &c.Port }),
		id(KeyFlavor, "Octavia: one of the operator's flavors.", func(c *lb.Cloud) *string { return &c.Flavor }),
		word(KeyZone, "a name", "Octavia: the availability zone.", func(c *lb.Cloud) *string { return &c.Zone }),
		word(KeyDriver, "a name such as `amphora` or `ovn`", "Octavia: which of its providers makes the load balancer.",
			func(c *lb.Cloud) *string { return &c.Driver }),
		id(KeyMemberSubnet, "Octavia: the subnet that leads to the nodes.",
			func(c *lb.Cloud) *string { return &c.MemberSubnet }),
	}
}

// floatingKeys returns those about floating IPs, and about a load balancer that is there already.
func floatingKeys() []Key {
	id := func(name, fallback, meaning string, into func(*lb.Cloud) *string) Key {
		return Key{Name: name, Takes: takesID, Default: fallback, Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud) = r.uuid(name, v) }}
	}
	flag := func(name, meaning string, into func(*lb.Cloud) *bool) Key {
		return Key{Name: name, Takes: takesFlag, Default: "`false`", Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud) = r.flag(name, v) }}
	}
	return []Key{
		id(KeyFloatNetwork, configured, "Octavia: the external network of the floating IP, which is what bind-ip has then. "+
			"requested-ip asks for one, also for one that is there already and leads nowhere. Only IPv4 has floating IPs.",
			func(c *lb.Cloud) *string { return &c.FloatingNetwork }),
		id(KeyFloatSubnet, configured, "Octavia: the subnet of the floating IP, where its network has several.",
			func(c *lb.Cloud) *string { return &c.FloatingSubnet }),
		flag(KeyFloatKeep, "Octavia: leave the floating IP to the project when the load balancer goes. An object of the "+
			"same name gets it again.", func(c *lb.Cloud) *bool { return &c.KeepFloating }),
		flag(KeyInternal, "Octavia: no floating IP, whatever the controller's configuration says.",
			func(c *lb.Cloud) *bool { return &c.Internal }),
		id(KeyAdopt, "a load balancer is made", "Octavia: take this load balancer, which is there already, in place of "+
			"making one. It gets the object's name, its ports and its tags, and is deleted with the object. One that was made "+
			"for another object is left alone.", func(c *lb.Cloud) *string { return &c.Adopt }),
	}
}

// trafficKeys returns those about connections and requests.
func trafficKeys() []Key {
	return []Key{
		{Name: KeyMember, Takes: "`node` or `pod`", Default: "`node`", read: (*reading).readMember,
			Meaning: "Octavia: what gets the traffic: the Service's node port on each node, or its pods themselves, whose " +
				"addresses Octavia must be able to reach; upstream endpoints means the same."},
		{Name: KeyNodeSelector, Takes: "a label selector such as `zone=a`", Default: "all nodes",
			Meaning: "Octavia: which nodes get traffic, of those that the controller's configuration allows.",
			read:    (*reading).readNodeSelector},
		{Name: KeyTLSContainer, Takes: "URLs of Barbican's secrets or containers, separated by commas", Default: "none",
			Meaning: "Octavia: the certificates of HTTPS, in place of tls-secret-name. The first is for clients that ask for " +
				"none of the others' names.",
			read: (*reading).readTLSContainer},
		{Name: KeyClientTimeout, Takes: takesTime, Default: "`50s`, or idle-timeout for TCP",
			Meaning: "Octavia: how long a client may send nothing.",
			read:    func(r *reading, v string) { r.cloud.ClientTimeout = r.duration(KeyClientTimeout, v) }},
		{Name: KeyInspectTimeout, Takes: takesTime, Default: "no wait",
			Meaning: "Octavia: how long is waited for the first bytes of a TCP connection, to look at them.",
			read:    func(r *reading, v string) { r.cloud.InspectTimeout = r.duration(KeyInspectTimeout, v) }},
		{Name: KeyForwardedFor, Takes: takesFlag, Default: "`true`",
			Meaning: "Octavia: tell the Service who the client is, by X-Forwarded-For, -Port and -Proto in requests of HTTP.",
			read:    func(r *reading, v string) { r.cloud.NoForwardedFor = !r.flag(KeyForwardedFor, v) }},
	}
}

// monitorKeys returns those about the checks of nodes.
func monitorKeys() []Key {
	whole := func(name, fallback, meaning string, into func(*lb.CloudMonitor) *time.Duration) Key {
		return Key{Name: name, Takes: takesWhole, Default: fallback, Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud.Monitor) = r.wholeSeconds(name, v) }}
	}
	attempts := func(name, fallback, meaning string, into func(*lb.CloudMonitor) *int) Key {
		return Key{Name: name, Takes: takesAttempts, Default: fallback, Meaning: meaning,
			read: func(r *reading, v string) { *into(&r.cloud.Monitor) = r.count(name, v, 10) }}
	}
	return []Key{
		{Name: KeyMonitorType, Takes: "`TCP`, `HTTP`, `HTTPS`, `PING`, `TLS-HELLO`, `UDP-CONNECT`, `SCTP` or `NONE`",
			Default: "that of the port's transport", read: (*reading).readMonitorType,
			Meaning: "Octavia: how it is checked whether a node serves; NONE is not at all. A Service with " +
				"externalTrafficPolicy Local and a health port is asked there, unless this is NONE."},
		whole(KeyMonitorDelay, "`5s`", "Octavia: the time between two checks.",
			func(m *lb.CloudMonitor) *time.Duration { return &m.Delay }),
		whole(KeyMonitorTimeout, "`3s`", "Octavia: how long a check may take, at most monitor-delay.",
			func(m *lb.CloudMonitor) *time.Duration { return &m.Timeout }),
		attempts(KeyMonitorUp, "`1`", "Octavia: how many good checks in a row bring a node back.",
			func(m *lb.CloudMonitor) *int { return &m.Retries }),
		attempts(KeyMonitorDown, "`3`", "Octavia: how many bad checks in a row take a node out.",
			func(m *lb.CloudMonitor) *int { return &m.RetriesDown }),
		{Name: KeyMonitorPath, Takes: "a path such as `/healthz`", Default: "`/`",
			Meaning: "Octavia: what a check of HTTP or HTTPS asks for.",
			read:    func(r *reading, v string) { r.cloud.Monitor.Path = r.cleanPath(KeyMonitorPath, v) }},
		{Name: KeyMonitorCodes, Takes: "status codes such as `200`, `200,202` or `200-204`", Default: "`200`",
			Meaning: "Octavia: the answers to a check of HTTP or HTTPS that are good.", read: (*reading).readMonitorCodes},
	}
}

// clouded returns the places of the keys that only a cloud knows and that the object has, in the order of [CloudKeys].
func clouded(data map[string]string, given []*Key) []string {
	var out []string
	if strings.Contains(data[KeyAffinity], "=") {
		out = append(out, field(KeyAffinity))
	}
	for _, k := range given {
		if k.Cloud {
			out = append(out, field(k.Name))
		}
	}
	return out
}

func (r *reading) readProvider(v string) {
	for _, p := range lb.Providers() {
		if strings.EqualFold(v, string(p)) {
			r.provider = p
			return
		}
	}
	r.badf(KeyProvider, "%s is neither software nor octavia", quote(v))
}

// uuidPattern is RFC 9562, 4, also without the dashes, as some of OpenStack writes it.
var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$`)

// uuid reads an ID of OpenStack; it returns "" when that is none.
func (r *reading) uuid(key, v string) string {
	if !uuidPattern.MatchString(v) {
		r.badf(key, "%s is not a UUID; give an ID such as openstack shows it, not a name", quote(v))
		return ""
	}
	return strings.ToLower(v)
}

// wordPattern is what names of zones and providers are made of.
var wordPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// word reads a name; it returns "" when that is none.
func (r *reading) word(key, v string) string {
	if !wordPattern.MatchString(v) {
		r.badf(key, "%s is not a name; it takes letters, digits and . _ -", quote(v))
		return ""
	}
	return v
}

// choice reads one of some words, in upper or lower case; it returns "" when it is none of them.
func (r *reading) choice(key, v string, words ...string) string {
	i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, v) })
	if i < 0 {
		r.badf(key, "%s is none of %s", quote(v), strings.Join(words, ", "))
		return ""
	}
	return words[i]
}

func (r *reading) readMember(v string) { r.member = r.choice(KeyMember, v, memberNode, memberPod) }

func (r *reading) readNodeSelector(v string) {
	if _, err := labels.Parse(v); err != nil {
		r.badf(KeyNodeSelector, "%s is not a label selector: %s", quote(v), err)
		return
	}
	r.cloud.NodeSelector = v
}

// The values of member.
const (
	memberNode = "node"
	memberPod  = "pod"
)

// memberTwice makes of upstream and member what both mean, and finds where they contradict each other.
func (r *reading) memberTwice() {
	if r.member != "" && r.upstream != "" && (r.member == memberPod) != (r.upstream == upstreamEndpoints) {
		r.addf(lb.CodeConflictingKeys, KeyMember, "%s: %s means the other one; remove one of the two", KeyUpstream,
			r.upstream)
	}
	if r.cloud.NodeSelector != "" && (r.member == memberPod || r.upstream == upstreamEndpoints) {
		r.addf(lb.CodeConflictingKeys, KeyNodeSelector, "traffic goes to pods, on whatever nodes they are; remove the key")
	}
	if r.member == memberPod {
		r.options.Upstream.Endpoints = true
	}
	r.cloud.Pods = r.options.Upstream.Endpoints
}

// maxContainers is how many certificates a listener may have.
const maxContainers = 64

// containerPattern is what the URLs of Barbican look like; Octavia looks them up there, wherever they seem to lead.
var containerPattern = regexp.MustCompile(
	`^https?://[A-Za-z0-9._:/\[\]-]{1,200}/v1/(secrets|containers)/[0-9a-fA-F-]{36}$`)

func (r *reading) readTLSContainer(v string) {
	for text := range strings.SplitSeq(v, ",") {
		ref := strings.TrimSpace(text)
		switch {
		case !containerPattern.MatchString(ref):
			r.badf(KeyTLSContainer, "%s is not the URL of a secret or a container in Barbican; give one such as "+
				"https://barbican.example.com/v1/secrets/ID", quote(ref))
		case slices.Contains(r.cloud.Certificates, ref):
			r.badf(KeyTLSContainer, "%s is there twice", quote(ref))
		case len(r.cloud.Certificates) == maxContainers:
			r.badf(KeyTLSContainer, "give at most %d", maxContainers)
		default:
			r.cloud.Certificates = append(r.cloud.Certificates, ref)
			continue
		}
		return
	}
}

func (r *reading) readMonitorType(v string) {
	r.cloud.Monitor.Type = r.choice(KeyMonitorType, v, "TCP", "HTTP", "HTTPS", "PING", "TLS-HELLO", "UDP-CONNECT", "SCTP",
		"NONE")
}

// codesPattern is what Octavia takes for expected_codes.
var codesPattern = regexp.MustCompile(`^[1-5][0-9]{2}(-[1-5][0-9]{2}|(,[1-5][0-9]{2}){0,15})$`)

func (r *reading) readMonitorCodes(v string) {
	v = strings.ReplaceAll(v, " ", "")
	if !codesPattern.MatchString(v) {
		r.badf(KeyMonitorCodes, `%s is not a list of status codes; give such as "200", "200,202" or "200-204"`, quote(v))
		return
	}
	r.cloud.Monitor.Codes = v
}

// wholeSeconds reads a time of whole seconds; it returns 0 when that is none.
func (r *reading) wholeSeconds(key, v string) time.Duration {
	if n, err := strconv.Atoi(v); err == nil {
		v = fmt.Sprintf("%ds", n)
	}
	d := r.duration(key, v)
	if d%time.Second != 0 {
		r.badf(key, "%s is not a time of whole seconds", quote(v))
		return 0
	}
	return d
}

// monitorTwice finds contradictions about the checks of nodes.
func (r *reading) monitorTwice() {
	m := r.cloud.Monitor
	if m.Timeout > 0 && m.Delay > 0 && m.Timeout > m.Delay {
		r.addf(lb.CodeConflictingKeys, KeyMonitorTimeout, "%s is longer than %s, which is %s; Octavia would start a check "+
			"before the last one is over", m.Timeout, KeyMonitorDelay, m.Delay)
	}
	web := m.Type == "HTTP" || m.Type == "HTTPS"
	for _, k := range []struct {
		key   string
		given bool
	}{{KeyMonitorPath, m.Path != ""}, {KeyMonitorCodes, m.Codes != ""}} {
		if k.given && !web && !r.faulty(KeyMonitorType) {
			r.addf(lb.CodeConflictingKeys, k.key, "the key is about checks of HTTP; set %s to HTTP or HTTPS", KeyMonitorType)
		}
	}
}

// placedTwice finds contradictions about where the address is.
func (r *reading) placedTwice() {
	c := r.cloud
	if c.Network != "" && (c.Subnet != "" || c.SubnetIPv6 != "") {
		r.addf(lb.CodeConflictingKeys, KeyNetwork, "%s says where the address is; remove one of the two", KeySubnet)
	}
	if c.Port != "" && c.Network+c.Subnet+c.SubnetIPv6 != "" {
		r.addf(lb.CodeConflictingKeys, KeyVIPPort, "the port has a network of its own; remove the other keys of the address")
	}
	if c.Internal && (c.FloatingNetwork+c.FloatingSubnet != "" || c.KeepFloating) {
		r.addf(lb.CodeConflictingKeys, KeyInternal, "there is no floating IP then; remove the key, or %s, %s and %s",
			KeyFloatNetwork, KeyFloatSubnet, KeyFloatKeep)
	}
}
