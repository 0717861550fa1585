package cli

import (
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"
)

// An optionFlag sets a key of the same name.
type optionFlag struct{ key, usage string }

// optionFlags are the flags whose values go into the ConfigMap as they are.
func optionFlags() []optionFlag {
	plain := strings.NewReplacer("`", "", "[octavia.md](octavia.md)", "docs/octavia.md")
	var cloud []optionFlag
	for _, k := range configmap.CloudKeys() {
		sentence, _, _ := strings.Cut(k.Meaning, ". ")
		usage := strings.TrimSuffix(sentence, ".") + ": " + k.Takes + " (default: " + k.Default + ")."
		cloud = append(cloud, optionFlag{k.Name, plain.Replace(usage)})
	}
	return append(ownFlags(), cloud...)
}

// ownFlags are those of what any provider may know.
func ownFlags() []optionFlag {
	return []optionFlag{
		{configmap.KeyPathType, "Prefix or Exact: whether --path also stands for what is below it (default: Prefix)."},
		{configmap.KeyRewrite, "Path that the Service gets in place of --path."},
		{configmap.KeyPorts, `Several ports, such as "80:http/HTTP, 443, 53/UDP", in place of --port and --target-port.`},
		{configmap.KeyUpstream,
			`Where connections go: to the "service" (default), or to its "endpoints", the pods themselves.`},
		{configmap.KeyMethod, "With --upstream endpoints, which pod is next, or with Octavia which node: round-robin " +
			"(default), least-connections, source-ip-hash or request-hash."},
		{configmap.KeyAffinity,
			"With --upstream endpoints, keep a client with its pod, or with Octavia with its node, by client-ip or cookie " +
				"(default: none)."},
		{configmap.KeyShare, "Name of those that have one address in common."},
		{configmap.KeyShareWith, `Other namespaces whose load balancers may have that --share-key; "*" for all.`},
		{configmap.KeySources, `Ranges of the clients that are served, such as "10.0.0.0/8, fd00::/8".`},
		{configmap.KeyProxy, `PROXY protocol: "accept" from clients, "send" or "send-v2" to the Service, or "accept,send".`},
		{configmap.KeyTrusted, "Ranges of the proxies in front, whose word on a client is believed."},
		{configmap.KeyMaxConns, "Connections that a port of a node has at once."},
		{configmap.KeyMaxPerIP, "Connections that a client address has at once at a port of a node."},
		{configmap.KeyIdleTimeout, `Time after which a silent TCP connection or UDP session is ended, such as "5m".`},
		{configmap.KeyResponses, "Datagrams that answer one of a UDP client's, such as 1 for DNS."},
		{configmap.KeyConnectTime, "Time that the Service may take to accept a connection."},
		{configmap.KeySendTime, "Time that the Service may take in nothing of a request."},
		{configmap.KeyReadTime, "Time that the Service may send nothing of an answer."},
		{configmap.KeyRetries, "How many more times a connection or request is tried that was not answered."},
		{configmap.KeyAccessLog, `"true" to log requests and connections as JSON.`},
		{configmap.KeyRedirect, `"true" to redirect HTTP requests to HTTPS.`},
		{configmap.KeyBackend, `What the Service speaks: "HTTP", "HTTPS", "GRPC" or "GRPCS".`},
		{configmap.KeyBackendCA, `Who may have signed the Service's certificate: "secret/NAME", "configmap/NAME", ` +
			`or "none".`},
		{configmap.KeyBackendName, "Name that the Service's certificate is for."},
		{configmap.KeySSLPort, "Port for HTTPS where there is --ssl, or where --protocol is HTTPS and there is no --port " +
			"(default: 443)."},
		{configmap.KeyTLSSecret, `Secrets of type kubernetes.io/tls with the certificates to show, such as "web, api".`},
		{configmap.KeyClientCA, `Who signs clients' certificates: "secret/NAME" or "configmap/NAME".`},
		{configmap.KeyClientAuth, `"required" or "optional": whether clients need a certificate (default: required).`},
		{configmap.KeySetRequest, `Headers that the Service gets, one a line, such as "X-Team: tea".`},
		{configmap.KeyCutRequest, "Names of headers that the Service does not get."},
		{configmap.KeySetAnswer, `Headers that clients get, one a line, such as "X-Frame-Options: DENY".`},
		{configmap.KeyCutAnswer, "Names of headers that clients do not get."},
		{configmap.KeyMaxBody, `Largest request body, such as "10m".`},
		{configmap.KeyGzip, `"true" to compress answers of text.`},
	}
}
