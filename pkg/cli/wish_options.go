package cli

import "github.com/kubectl-lb/kubectl-lb/pkg/source/configmap"

// An optionFlag sets a key of the same name.
type optionFlag struct{ key, usage string }

// optionFlags are the flags whose values go into the ConfigMap as they are.
func optionFlags() []optionFlag {
	return []optionFlag{
		{configmap.KeyPathType, "Prefix or Exact: whether --path also stands for what is below it (default: Prefix)."},
		{configmap.KeyPorts, `Several ports, such as "80:http/HTTP, 443, 53/UDP", in place of --port and --target-port.`},
		{configmap.KeyIdleTimeout, `Time after which a silent TCP connection or UDP session is ended, such as "5m".`},
		{configmap.KeyResponses, "Datagrams that answer one of a UDP client's, such as 1 for DNS."},
	}
}
