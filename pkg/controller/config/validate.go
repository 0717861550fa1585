package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan/ipam"
)

// The timing profiles.
const (
	ProfileDefault = "default"
	ProfileFast    = "fast"
	ProfileVM      = "vm"
	ProfileCustom  = "custom"
)

// maxVRIDBase leaves room for the 12 VRRP groups that there are at least; VRIDs end at 255.
const maxVRIDBase = 244

// Backends returns the names of the backends that exist.
func Backends() []string { return []string{string(lb.ProviderSoftware), string(lb.ProviderOctavia)} }

// Validate returns everything that is wrong, each error naming its field.
func (c Configuration) Validate() error {
	_, poolsErr := c.Pools()
	_, timingErr := c.Software.Timing.Times()
	_, witnessErr := c.Software.Witness.Witness()
	_, levelErr := c.Log.SlogLevel()
	errs := []error{
		oneOf("apiVersion", c.APIVersion, APIVersion),
		oneOf("kind", c.Kind, Kind),
		oneOf("backend", c.Backend, Backends()...),
		poolsErr,
		timingErr,
		witnessErr,
		levelErr,
		oneOf("log.format", c.Log.Format, "text", "json"),
		c.LeaderElection.validate(),
		c.Octavia.validate(c.UsesOctavia()),
	}
	for _, msg := range validation.IsDNS1123Label(c.SystemNamespace) {
		errs = append(errs, fmt.Errorf("systemNamespace %q: %s", c.SystemNamespace, msg))
	}
	for _, msg := range validation.IsDNS1123Label(c.TLSNamespace) {
		errs = append(errs, fmt.Errorf("tlsNamespace %q: %s", c.TLSNamespace, msg))
	}
	if c.TLSNamespace == c.SystemNamespace {
		errs = append(errs, fmt.Errorf("tlsNamespace %q: it is the systemNamespace too; the daemons read every Secret "+
			"there, so it must be one with nothing else in it", c.TLSNamespace))
	}
	if _, err := c.NodeSelector(); err != nil {
		errs = append(errs, err)
	}
	if c.Software.VRIDBase < 1 || c.Software.VRIDBase > maxVRIDBase {
		errs = append(errs, fmt.Errorf("software.vridBase %d: not between 1 and %d", c.Software.VRIDBase, maxVRIDBase))
	}
	return errors.Join(errs...)
}

func oneOf(field, value string, valid ...string) error {
	if slices.Contains(valid, value) {
		return nil
	}
	return fmt.Errorf("%s %q: valid is %s", field, value, strings.Join(valid, ", "))
}

// Pools returns the address pools, in the order in which addresses are taken from them.
func (c Configuration) Pools() ([]ipam.Pool, error) {
	var pools []ipam.Pool
	for i, p := range c.AddressPools {
		pool, err := ipam.ParsePool(p.Name, p.Addresses, ipam.Options{
			IncludeNetworkAndBroadcast: p.IncludeNetworkAndBroadcast,
			Manual:                     p.AutoAssign != nil && !*p.AutoAssign,
		})
		if err != nil {
			return nil, fmt.Errorf("addressPools[%d]: %w", i, err)
		}
		pools = append(pools, pool)
	}
	if err := ipam.Check(pools); err != nil {
		return nil, fmt.Errorf("addressPools: %w", err)
	}
	return pools, nil
}

// NodeSelector returns the selector of the load-balancer nodes. It fails on an empty one, which would make every node
// of the cluster carry addresses.
func (c Configuration) NodeSelector() (labels.Selector, error) {
	s, err := labels.Parse(c.Software.NodeSelector)
	if err != nil {
		return nil, fmt.Errorf("software.nodeSelector %q: %w", c.Software.NodeSelector, err)
	}
	if s.Empty() {
		return nil, errors.New("software.nodeSelector: it must not be empty")
	}
	return s, nil
}

// Times returns the timing of VRRP. A lost node is noticed after three intervals and a skew.
func (t Timing) Times() (nodeconfig.Timing, error) {
	if t.Profile != ProfileCustom && (t.AdvertInterval != 0 || t.HoldTime != 0) {
		return nodeconfig.Timing{}, fmt.Errorf(
			"software.timing.profile %q: own times need profile %q", t.Profile, ProfileCustom)
	}
	switch t.Profile {
	case ProfileDefault:
		return nodeconfig.DefaultTiming(), nil
	case ProfileFast:
		return times(20*time.Millisecond, 5*time.Second), nil
	case ProfileVM:
		return times(time.Second, 10*time.Second), nil
	case ProfileCustom:
		return t.custom()
	}
	return nodeconfig.Timing{}, oneOf("software.timing.profile", t.Profile,
		ProfileDefault, ProfileFast, ProfileVM, ProfileCustom)
}

func times(advert, hold time.Duration) nodeconfig.Timing {
	return nodeconfig.Timing{AdvertInterval: nodeconfig.Duration(advert), HoldTime: nodeconfig.Duration(hold)}
}

// custom checks the bounds: of advert_int those of keepalived.conf(5).
func (t Timing) custom() (nodeconfig.Timing, error) {
	advert, hold := time.Duration(t.AdvertInterval), time.Duration(t.HoldTime)
	if advert < 10*time.Millisecond || advert > 40950*time.Millisecond || advert%(10*time.Millisecond) != 0 {
		return nodeconfig.Timing{}, fmt.Errorf(
			"software.timing.advertInterval %s: not between 10ms and 40.95s in steps of 10ms", advert)
	}
	if hold < 0 || hold > 1000*time.Second || hold%time.Second != 0 {
		return nodeconfig.Timing{}, fmt.Errorf(
			"software.timing.holdTime %s: not between 0s and 1000s in whole seconds", hold)
	}
	return times(advert, hold), nil
}

// Witness returns the witness for the nodes. Multicast, loopback and unspecified addresses are nobody that could
// answer.
func (w Witness) Witness() (nodeconfig.Witness, error) {
	mode := nodeconfig.WitnessMode(w.Mode)
	if err := oneOf("software.witness.mode", w.Mode,
		"", string(nodeconfig.WitnessARP), string(nodeconfig.WitnessPing)); err != nil {
		return nodeconfig.Witness{}, err
	}
	if mode == "" && len(w.Addresses) > 0 {
		return nodeconfig.Witness{}, errors.New("software.witness.addresses: they need a mode, arp or ping")
	}
	out := nodeconfig.Witness{Mode: mode}
	for i, text := range w.Addresses {
		field := fmt.Sprintf("software.witness.addresses[%d] %q", i, text)
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return nodeconfig.Witness{}, fmt.Errorf("%s: not an IP address", field)
		case a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback():
			return nodeconfig.Witness{}, fmt.Errorf("%s: not the address of another machine", field)
		}
		if a = a.Unmap(); slices.Contains(out.Addresses, a) {
			return nodeconfig.Witness{}, fmt.Errorf("%s: it is there twice", field)
		}
		out.Addresses = append(out.Addresses, a)
	}
	slices.SortFunc(out.Addresses, netip.Addr.Compare)
	return out, nil
}

// validate keeps the distances that leader election needs: a leader must give up before another may take over.
func (l LeaderElection) validate() error {
	lease, renew, retry := l.LeaseDuration.Duration, l.RenewDeadline.Duration, l.RetryPeriod.Duration
	switch {
	case retry <= 0:
		return fmt.Errorf("leaderElection.retryPeriod %s: not positive", retry)
	case renew <= retry*12/10:
		return fmt.Errorf("leaderElection.renewDeadline %s: not above 1.2 times the retryPeriod of %s", renew, retry)
	case lease <= renew:
		return fmt.Errorf("leaderElection.leaseDuration %s: not above the renewDeadline of %s", lease, renew)
	case lease < time.Second:
		return fmt.Errorf("leaderElection.leaseDuration %s: below one second", lease)
	}
	return nil
}

// SlogLevel returns the level for slog.
func (l Log) SlogLevel() (slog.Level, error) {
	var level slog.Level
	if err := oneOf("log.level", l.Level, "debug", "info", "warn", "error"); err != nil {
		return level, err
	}
	err := level.UnmarshalText([]byte(l.Level))
	return level, err
}
