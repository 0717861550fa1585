package kubelet

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/sandbox"
)

func shopVolumes(t *testing.T) volumes {
	t.Helper()
	dir := t.TempDir()
	return volumes{
		from: fakeObjects{}, pod: shopPod(), at: shopPlace(),
		dir: filepath.Join(dir, "volumes"), nodeRoot: filepath.Join(dir, "root"),
	}
}

func TestVolumeFiles(t *testing.T) {
	yes := true
	seconds := int64(600)
	name := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	tests := map[string]struct {
		source corev1.VolumeSource
		want   map[string]string
		bad    bool
	}{
		"configMap": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("settings")}},
			want:   map[string]string{"color": "red", "size": "9", "blob": "\x00\x01"},
		},
		"configMap, items": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: name("settings"), Items: []corev1.KeyToPath{{Key: "color", Path: "paint/c.txt"}},
			}},
			want: map[string]string{"paint/c.txt": "red"},
		},
		"configMap, no such item": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: name("settings"), Items: []corev1.KeyToPath{{Key: "taste", Path: "t"}},
			}},
			bad: true,
		},
		"no configMap": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: name("none")}},
			bad:    true,
		},
		"no configMap, optional": {
			source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: name("none"), Optional: &yes,
			}},
			want: map[string]string{},
		},
		"secret": {
			source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys"}},
			want:   map[string]string{"password": "s3cret"},
		},
		"downward": {
			source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			}}},
			want: map[string]string{"labels": "app=\"tea\"\ntier=\"a b\"\n"},
		},
		"projected": {
			source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: name("keys")}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
					{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}},
				}}},
			}}},
			want: map[string]string{"token": `token of brewer for "", 600 s`, "password": "s3cret", "namespace": "shop"},
		},
		"unknown": {source: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, bad: true},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			files, err := shopVolumes(t).files(t.Context(), corev1.Volume{Name: "v", VolumeSource: tt.source})
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			if tt.bad {
				return
			}
			if diff := cmp.Diff(tt.want, stringData(files)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMounts(t *testing.T) {
	v := shopVolumes(t)
	kind := corev1.HostPathDirectoryOrCreate
	v.pod.Spec.Volumes = []corev1.Volume{
		{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "settings"},
		}}},
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "state", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
			Path: "/var/lib/kubectl-lb", Type: &kind,
		}}},
		{Name: "sys", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/sys"}}},
	}
	if err := v.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	mounts, err := v.mounts(&corev1.Container{VolumeMounts: []corev1.VolumeMount{
		{Name: "settings", MountPath: "/etc/settings"}, {Name: "scratch", MountPath: "/scratch"},
		{Name: "state", MountPath: "/var/lib/kubectl-lb", ReadOnly: true}, {Name: "sys", MountPath: "/sys"},
		{Name: "scratch", MountPath: "/sub", SubPath: "a/../../b"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []sandbox.Mount{
		{Source: v.dir + "/settings", Target: "/etc/settings", ReadOnly: true},
		{Source: v.dir + "/scratch", Target: "/scratch"},
		{Source: v.nodeRoot + "/var/lib/kubectl-lb", Target: "/var/lib/kubectl-lb", ReadOnly: true},
		{Source: "/sys", Target: "/sys"},
		{Source: v.dir + "/scratch/b", Target: "/sub"},
	}
	if diff := cmp.Diff(want, mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if _, err := v.mounts(&corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "none"}}}); err == nil {
		t.Error("a mount of no volume: no error")
	}
}

// show reads a published folder as a container sees it: the names without a leading dot.
func show(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue
		}
		top, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			rel, _ := filepath.Rel(top, path)
			got[filepath.Join(e.Name(), rel)] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestPublish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "v")
	bytes := func(m map[string]string) map[string][]byte {
		out := map[string][]byte{}
		for k, v := range m {
			out[k] = []byte(v)
		}
		return out
	}
	for i, files := range []map[string]string{
		{"a": "1", "d/e": "2"}, {"a": "1", "d/e": "3"}, {"a": "1", "d/e": "3"}, {"b": ""}, {}, {"a": "1", "d/e": "2"},
	} {
		if err := publish(dir, bytes(files)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files, show(t, dir)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		versions, _ := filepath.Glob(filepath.Join(dir, "..*"))
		if len(versions) != 2 { // ..data and the one it leads to
			t.Errorf("step %d: %v", i, versions)
		}
	}
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	st, _ := os.Stat(filepath.Join(dir, "..data", "a"))
	if err := publish(dir, bytes(map[string]string{"a": "1", "d/e": "2"})); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Readlink(filepath.Join(dir, "..data"))
	if again, _ := os.Stat(filepath.Join(dir, "..data", "a")); before != after || !os.SameFile(st, again) {
		t.Error("equal content was written again")
	}
	for _, evil := range []string{"../x", "/etc/x", "a/../../x"} {
		if err := publish(dir, map[string][]byte{evil: nil}); err == nil {
			t.Errorf("%s: no error", evil)
		}
	}
}
