package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// caughtUp fails while the cache lacks what the API server has, or has it in an older version. A standby's watch may
// have been broken for a minute when it comes to lead, and a load balancer or a node that it has not heard of would
// look deleted: it would be withdrawn, or sent away.
func caughtUp(ctx context.Context, api, cached client.Reader, nodes labels.Selector) error {
	ours, err := ourConfigMaps()
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name         string
		live, cached client.ObjectList
		selector     labels.Selector
	}{
		{"ConfigMap", &corev1.ConfigMapList{}, &corev1.ConfigMapList{}, ours},
		{"Node", &corev1.NodeList{}, &corev1.NodeList{}, nodes},
	} {
		selected := client.MatchingLabelsSelector{Selector: kind.selector}
		if err := api.List(ctx, kind.live, selected); err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		if err := cached.List(ctx, kind.cached); err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		behind, err := firstBehind(kind.live, kind.cached)
		if err != nil {
			return fmt.Errorf("compare the cache with the API server: %w", err)
		}
		if behind != "" {
			return fmt.Errorf("the cache is behind the API server at %s %s; waiting for it", kind.name, behind)
		}
	}
	return nil
}

// firstBehind returns the name of an object that the cache lacks or has in an older version; empty for none.
func firstBehind(live, cached client.ObjectList) (string, error) {
	versions := map[string]string{}
	err := meta.EachListItem(cached, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err == nil {
			versions[m.GetNamespace()+"/"+m.GetName()] = m.GetResourceVersion()
		}
		return err
	})
	behind := ""
	if err != nil {
		return behind, err
	}
	err = meta.EachListItem(live, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		name := m.GetNamespace() + "/" + m.GetName()
		if have, ok := versions[name]; !ok {
			behind = name
		} else if c, err := resourceversion.CompareResourceVersion(have, m.GetResourceVersion()); err != nil || c < 0 {
			behind = name
		}
		return nil
	})
	return behind, err
}
