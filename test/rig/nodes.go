package rig

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Holders returns the nodes whose kernel has the address on the link, by name: the truth, whoever says what.
func (r *Rig) Holders(address string) ([]string, error) {
	want, err := netip.ParseAddr(address)
	if err != nil {
		return nil, err
	}
	return r.Lab.Holders(want)
}

// leaderSilence is how old a leader's last sign of life may be: it renews its lease every 2 s.
const leaderSilence = 5 * time.Second

// Leader returns the name of the controller's pod that leads, and has said so lately.
func (r *Rig) Leader(ctx context.Context) (string, error) {
	leases, err := r.Client.CoordinationV1().Leases(SystemNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, l := range leases.Items {
		holder, renewed := l.Spec.HolderIdentity, l.Spec.RenewTime
		if holder == nil || *holder == "" || renewed == nil || time.Since(renewed.Time) > leaderSilence {
			continue
		}
		pod, _, _ := strings.Cut(*holder, "_")
		return pod, nil
	}
	return "", fmt.Errorf("nobody leads: no lease in %s has been renewed for %s", SystemNamespace, leaderSilence)
}
