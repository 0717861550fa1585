package cli

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// Where deploy/ keeps the controller's configuration.
const (
	controllerConfigName = "lb-controller-config"
	controllerConfigKey  = "config.yaml"
)

// controllerConfig is the part of the controller's configuration that says which addresses there are.
type controllerConfig struct {
	AddressPools []struct {
		Name                       string   `json:"name"`
		Addresses                  []string `json:"addresses"`
		IncludeNetworkAndBroadcast bool     `json:"includeNetworkAndBroadcast"`
		AutoAssign                 *bool    `json:"autoAssign"`
	} `json:"addressPools"`
}

// pools reads the address pools from the controller's configuration. Where that can't be read, known is false: then
// only the controller can say whether an address is in a pool.
func (c *cluster) pools(ctx context.Context) (pools []ipam.Pool, known bool, err error) {
	cm, err := c.CoreV1().ConfigMaps(c.system).Get(ctx, controllerConfigName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	pools, err = parsePools(cm.Data[controllerConfigKey])
	if err != nil {
		return nil, false, fmt.Errorf("configmap %s/%s: %w", c.system, controllerConfigName, err)
	}
	return pools, true, nil
}

func parsePools(text string) ([]ipam.Pool, error) {
	var config controllerConfig
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return nil, err
	}
	var pools []ipam.Pool
	for _, p := range config.AddressPools {
		pool, err := ipam.ParsePool(p.Name, p.Addresses, ipam.Options{
			IncludeNetworkAndBroadcast: p.IncludeNetworkAndBroadcast,
			Manual:                     p.AutoAssign != nil && !*p.AutoAssign,
		})
		if err != nil {
			return nil, err
		}
		pools = append(pools, pool)
	}
	return pools, nil
}

// anyPool stands in for pools that nobody knows, with every address there is: a plan then finds conflicts, but nothing
// about pools.
func anyPool() []ipam.Pool {
	return []ipam.Pool{{Name: "any", Ranges: []ipam.Range{
		{From: netip.IPv4Unspecified().Next(), To: netip.AddrFrom4([4]byte{255, 255, 255, 254})},
		{From: netip.IPv6Unspecified().Next(), To: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")},
	}}}
}
