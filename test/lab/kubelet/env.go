package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// objects reads what a Pod refers to.
type objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Token returns a bound service account token of the Pod for the audience ("" is the API server).
	Token(ctx context.Context, pod *corev1.Pod, audience string, seconds int64) (string, error)
}

// place is what a Pod knows of where it runs.
type place struct {
	hostIPs, podIPs []netip.Addr
}

// environment resolves a container's whole environment, in order: image, cluster, envFrom, env. Later ones win.
func environment(ctx context.Context, from objects, pod *corev1.Pod, c *corev1.Container, base []string, at place) (
	[]string, error,
) {
	values := map[string]string{}
	var order []string
	set := func(name, value string) {
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = value
	}
	for _, entry := range base {
		name, value, _ := strings.Cut(entry, "=")
		set(name, value)
	}
	for _, source := range c.EnvFrom {
		data, err := envFrom(ctx, from, pod.Namespace, source)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(data)) {
			set(source.Prefix+key, data[key])
		}
	}
	for _, e := range c.Env {
		value := expand(e.Value, values)
		if e.ValueFrom != nil {
			var found bool
			var err error
			if value, found, err = envValue(ctx, from, pod, c, e.ValueFrom, at); err != nil {
				return nil, fmt.Errorf("env %s: %w", e.Name, err)
			}
			if !found {
				continue
			}
		}
		set(e.Name, value)
	}
	env := make([]string, len(order))
	for i, name := range order {
		env[i] = name + "=" + values[name]
	}
	return env, nil
}

func envFrom(ctx context.Context, from objects, namespace string, s corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case s.ConfigMapRef != nil:
		cm, err := from.ConfigMap(ctx, namespace, s.ConfigMapRef.Name)
		if err != nil {
			return nil, unlessOptional(err, s.ConfigMapRef.Optional)
		}
		return cm.Data, nil
	case s.SecretRef != nil:
		secret, err := from.Secret(ctx, namespace, s.SecretRef.Name)
		if err != nil {
			return nil, unlessOptional(err, s.SecretRef.Optional)
		}
		return stringData(secret.Data), nil
	}
	return nil, nil
}

func envValue(
	ctx context.Context, from objects, pod *corev1.Pod, c *corev1.Container, s *corev1.EnvVarSource, at place,
) (value string, found bool, err error) {
	switch {
	case s.FieldRef != nil:
		value, err = field(pod, s.FieldRef.FieldPath, at)
		return value, true, err
	case s.ResourceFieldRef != nil:
		value, err = resourceField(c, s.ResourceFieldRef)
		return value, true, err
	case s.ConfigMapKeyRef != nil:
		ref := s.ConfigMapKeyRef
		cm, err := from.ConfigMap(ctx, pod.Namespace, ref.Name)
		if err != nil {
			return "", false, unlessOptional(err, ref.Optional)
		}
		if value, found = cm.Data[ref.Key]; !found {
			err = unlessOptional(fmt.Errorf("configmap %s has no key %q", ref.Name, ref.Key), ref.Optional)
		}
		return value, found, err
	case s.SecretKeyRef != nil:
		ref := s.SecretKeyRef
		secret, err := from.Secret(ctx, pod.Namespace, ref.Name)
		if err != nil {
			return "", false, unlessOptional(err, ref.Optional)
		}
		data, found := secret.Data[ref.Key]
		if !found {
			err = unlessOptional(fmt.Errorf("secret %s has no key %q", ref.Name, ref.Key), ref.Optional)
		}
		return string(data), found, err
	}
	return "", false, errors.New("the lab does not know this kind of source")
}

func unlessOptional(err error, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return err
}

// field is the downward API of pods.
func field(pod *corev1.Pod, path string, at place) (string, error) {
	if key, ok := subscript(path, "metadata.labels"); ok {
		return pod.Labels[key], nil
	}
	if key, ok := subscript(path, "metadata.annotations"); ok {
		return pod.Annotations[key], nil
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return keyValueLines(pod.Labels), nil
	case "metadata.annotations":
		return keyValueLines(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return first(at.hostIPs), nil
	case "status.hostIPs":
		return join(at.hostIPs), nil
	case "status.podIP":
		return first(at.podIPs), nil
	case "status.podIPs":
		return join(at.podIPs), nil
	}
	return "", fmt.Errorf("field %q: the lab does not know it", path)
}

// subscript reads prefix['key'].
func subscript(path, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(path, prefix+"['")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "']")
}

func keyValueLines(m map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s=%q\n", key, m[key])
	}
	return b.String()
}

func first(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return ""
	}
	return addrs[0].String()
}

func join(addrs []netip.Addr) string {
	parts := make([]string, len(addrs))
	for i, a := range addrs {
		parts[i] = a.String()
	}
	return strings.Join(parts, ",")
}

// resourceField gives a limit or request of the container; one that is not set reads as the node's whole.
func resourceField(c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := c.Resources.Limits
	switch kind {
	case "limits":
	case "requests":
		list = c.Resources.Requests
	default:
		return "", fmt.Errorf("resource %q: the lab does not know it", ref.Resource)
	}
	quantity, ok := list[corev1.ResourceName(name)]
	if !ok {
		if quantity, ok = nodeCapacity()[corev1.ResourceName(name)]; !ok {
			quantity = *resource.NewQuantity(0, resource.DecimalSI)
		}
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	up := (quantity.MilliValue() + divisor.MilliValue() - 1) / divisor.MilliValue()
	return strconv.FormatInt(up, 10), nil
}

// expand replaces $(NAME) by known values, as Kubernetes does in env, command and args; $$ is a literal $.
func expand(s string, values map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if s[i+1] == '$' {
			b.WriteByte('$')
			i++
			continue
		}
		end := strings.IndexByte(s[i:], ')')
		if s[i+1] == '(' && end > 0 {
			if value, ok := values[s[i+2:i+end]]; ok {
				b.WriteString(value)
				i += end
				continue
			}
		}
		b.WriteByte('$')
	}
	return b.String()
}

func stringData(data map[string][]byte) map[string]string {
	out := make(map[string]string, len(data))
	for key, value := range data {
		out[key] = string(value)
	}
	return out
}
