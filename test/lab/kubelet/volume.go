package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/sandbox"
)

// volumes are the folders of one Pod's volumes on the host.
type volumes struct {
	from objects
	pod  *corev1.Pod
	at   place
	// dir takes what belongs to the Pod, nodeRoot what belongs to the node and outlives the Pod (hostPath).
	dir, nodeRoot string
}

// prepare makes every volume or says which one cannot be made.
func (v volumes) prepare(ctx context.Context) error {
	for _, volume := range v.pod.Spec.Volumes {
		if err := v.prepareOne(ctx, volume); err != nil {
			return fmt.Errorf("volume %q: %w", volume.Name, err)
		}
	}
	return nil
}

func (v volumes) prepareOne(ctx context.Context, volume corev1.Volume) error {
	path := v.path(volume)
	if host := volume.HostPath; host != nil {
		return prepareHostPath(path, host)
	}
	if volume.EmptyDir != nil {
		return os.MkdirAll(path, 0o777)
	}
	files, err := v.files(ctx, volume)
	if err != nil {
		return err
	}
	return publish(path, files)
}

// refresh writes changed ConfigMaps, Secrets and ageing tokens anew; running containers see the new content.
func (v volumes) refresh(ctx context.Context) error {
	var errs []error
	for _, volume := range v.pod.Spec.Volumes {
		if volume.HostPath == nil && volume.EmptyDir == nil {
			errs = append(errs, v.prepareOne(ctx, volume))
		}
	}
	return errors.Join(errs...)
}

func (v volumes) path(volume corev1.Volume) string {
	if volume.HostPath == nil {
		return filepath.Join(v.dir, volume.Name)
	}
	path := filepath.Clean("/" + volume.HostPath.Path)
	for _, kernel := range []string{"/dev", "/sys", "/proc", "/lib/modules"} {
		if path == kernel || strings.HasPrefix(path, kernel+"/") {
			return path // all nodes share the one kernel
		}
	}
	return filepath.Join(v.nodeRoot, path)
}

func prepareHostPath(path string, host *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if host.Type != nil {
		kind = *host.Type
	}
	st, err := os.Stat(path)
	switch kind {
	case corev1.HostPathDirectoryOrCreate, corev1.HostPathUnset:
		return os.MkdirAll(path, 0o755)
	case corev1.HostPathFileOrCreate:
		if err == nil {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, nil, 0o644)
	}
	if err != nil {
		return fmt.Errorf("hostPath %s: %w", host.Path, err)
	}
	if kind == corev1.HostPathDirectory && !st.IsDir() {
		return fmt.Errorf("hostPath %s is no directory", host.Path)
	}
	return nil
}

// mounts resolves a container's volumeMounts.
func (v volumes) mounts(c *corev1.Container) ([]sandbox.Mount, error) {
	byName := map[string]corev1.Volume{}
	for _, volume := range v.pod.Spec.Volumes {
		byName[volume.Name] = volume
	}
	var mounts []sandbox.Mount
	for _, m := range c.VolumeMounts {
		volume, ok := byName[m.Name]
		if !ok {
			return nil, fmt.Errorf("volumeMount %q: no such volume", m.Name)
		}
		source := v.path(volume)
		if m.SubPath != "" {
			source = filepath.Join(source, filepath.Clean("/"+m.SubPath))
			if _, err := os.Stat(source); err != nil {
				if err := os.MkdirAll(source, 0o755); err != nil {
					return nil, fmt.Errorf("volumeMount %q: %w", m.Name, err)
				}
			}
			resolved, err := filepath.EvalSymlinks(source) // ..data links to the current content
			if err != nil {
				return nil, fmt.Errorf("volumeMount %q: %w", m.Name, err)
			}
			source = resolved
		}
		readOnly := m.ReadOnly || (volume.HostPath == nil && volume.EmptyDir == nil)
		mounts = append(mounts, sandbox.Mount{Source: source, Target: m.MountPath, ReadOnly: readOnly})
	}
	return mounts, nil
}

// files resolves a volume that is made of objects to path → content.
func (v volumes) files(ctx context.Context, volume corev1.Volume) (map[string][]byte, error) {
	files := map[string][]byte{}
	switch {
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		return files, v.configMap(ctx, files, s.Name, s.Items, s.Optional)
	case volume.Secret != nil:
		s := volume.Secret
		return files, v.secret(ctx, files, s.SecretName, s.Items, s.Optional)
	case volume.DownwardAPI != nil:
		return files, v.downward(files, volume.DownwardAPI.Items)
	case volume.Projected == nil:
		return nil, errors.New("the lab does not know this kind of volume")
	}
	for _, s := range volume.Projected.Sources {
		var err error
		switch {
		case s.ConfigMap != nil:
			err = v.configMap(ctx, files, s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
		case s.Secret != nil:
			err = v.secret(ctx, files, s.Secret.Name, s.Secret.Items, s.Secret.Optional)
		case s.DownwardAPI != nil:
			err = v.downward(files, s.DownwardAPI.Items)
		case s.ServiceAccountToken != nil:
			err = v.token(ctx, files, s.ServiceAccountToken)
		default:
			err = errors.New("the lab does not know this kind of projection")
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (v volumes) configMap(
	ctx context.Context, files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool,
) error {
	cm, err := v.from.ConfigMap(ctx, v.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	data := map[string][]byte{}
	maps.Copy(data, cm.BinaryData)
	for key, value := range cm.Data {
		data[key] = []byte(value)
	}
	return pick(files, data, items, optional)
}

func (v volumes) secret(
	ctx context.Context, files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool,
) error {
	secret, err := v.from.Secret(ctx, v.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	return pick(files, secret.Data, items, optional)
}

func pick(files, data map[string][]byte, items []corev1.KeyToPath, optional *bool) error {
	if len(items) == 0 {
		maps.Copy(files, data)
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			if err := unlessOptional(fmt.Errorf("no key %q", item.Key), optional); err != nil {
				return err
			}
			continue
		}
		files[item.Path] = value
	}
	return nil
}

func (v volumes) downward(files map[string][]byte, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("file %q: the lab knows only fieldRef", item.Path)
		}
		value, err := field(v.pod, item.FieldRef.FieldPath, v.at)
		if err != nil {
			return err
		}
		files[item.Path] = []byte(value)
	}
	return nil
}

func (v volumes) token(ctx context.Context, files map[string][]byte, s *corev1.ServiceAccountTokenProjection) error {
	seconds := int64(3600)
	if s.ExpirationSeconds != nil {
		seconds = *s.ExpirationSeconds
	}
	token, err := v.from.Token(ctx, v.pod, s.Audience, seconds)
	if err != nil {
		return err
	}
	files[s.Path] = []byte(token)
	return nil
}
