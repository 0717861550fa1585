package cli

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// Where deploy/ keeps the controller's configuration.
const (
	controllerConfigName = "lb-controller-config"
	controllerConfigKey  = "config.yaml"
)

// configDocument is the part of the controller's configuration that says which addresses there are, and who makes load
// balancers.
type configDocument struct {
	Backend      string `json:"backend"`
	AddressPools []struct {
		Name                       string   `json:"name"`
		Addresses                  []string `json:"addresses"`
		IncludeNetworkAndBroadcast bool     `json:"includeNetworkAndBroadcast"`
		AutoAssign                 *bool    `json:"autoAssign"`
	} `json:"addressPools"`
}

// controllerConfig is what is known of the controller's configuration.
type controllerConfig struct {
	pools    []ipam.Pool
	provider lb.Provider
}

// controllerConfig reads the controller's configuration. Where that can't be read, known is false: then only the
// controller can say whether an address is in a pool.
func (c *cluster) controllerConfig(ctx context.Context) (config controllerConfig, known bool, err error) {
	cm, err := c.CoreV1().ConfigMaps(c.system).Get(ctx, controllerConfigName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return config, false, nil
	case err != nil:
		return config, false, err
	}
	config, err = parseConfig(cm.Data[controllerConfigKey])
	if err != nil {
		return config, false, fmt.Errorf("configmap %s/%s: %w", c.system, controllerConfigName, err)
	}
	return config, true, nil
}

func parseConfig(text string) (controllerConfig, error) {
	var config configDocument
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return controllerConfig{}, err
	}
	out := controllerConfig{provider: lb.Provider(config.Backend)}
	for _, p := range config.AddressPools {
		pool, err := ipam.ParsePool(p.Name, p.Addresses, ipam.Options{
			IncludeNetworkAndBroadcast: p.IncludeNetworkAndBroadcast,
			Manual:                     p.AutoAssign != nil && !*p.AutoAssign,
		})
		if err != nil {
			return out, err
		}
		out.pools = append(out.pools, pool)
	}
	return out, nil
}

// anyPool stands in for pools that nobody knows, with every address there is: a plan then finds conflicts, but nothing
// about pools.
func anyPool() []ipam.Pool {
	return []ipam.Pool{{Name: "any", Ranges: []ipam.Range{
		{From: netip.IPv4Unspecified().Next(), To: netip.AddrFrom4([4]byte{255, 255, 255, 254})},
		{From: netip.IPv6Unspecified().Next(), To: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")},
	}}}
}
