package kubelet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	images := Images{BinDir: "/b", Pause: []string{"/b/lab", "pause"}, More: map[string]string{"example.com/echo": "/x/echo"}}
	hello := func(format string) Image {
		return Image{Program: "/b/hello", Entrypoint: []string{"/hello"}, Env: []string{"HELLO_FORMAT=" + format}}
	}
	controller := Image{Program: "/b/lb-controller", Entrypoint: []string{"/lb-controller"}}
	tests := map[string]Image{
		"nginxdemos/hello":                        hello("html"),
		"nginxdemos/hello:plain-text":             hello("text"),
		"docker.io/nginxdemos/hello:0.4":          hello("html"),
		"nginxdemos/nginx-hello:plain-text":       hello("text"),
		"ghcr.io/kubectl-lb/lb-controller:v1.2.3": controller,
		"localhost:5000/lb-controller":            controller,
		"lb-controller@sha256:0123":               controller,
		"ghcr.io/kubectl-lb/lb-daemon:dev":        {Program: "/b/lb-daemon", Entrypoint: []string{"/lb-daemon"}},
		"example.com/echo:2":                      {Program: "/x/echo", Entrypoint: []string{"/echo"}},
		"busybox:1.36":                            {Program: "/b/lab", Entrypoint: []string{"/b/lab", "pause"}},
		"registry.k8s.io/pause:3.10":              {Program: "/b/lab", Entrypoint: []string{"/b/lab", "pause"}},
	}
	for reference, want := range tests {
		got, err := images.Resolve(reference)
		if err != nil {
			t.Errorf("%s: %v", reference, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reference, diff)
		}
	}
	for _, reference := range []string{"", "nginx", "evil/hello", "hello:latest", "example.com/echo2", "lb-daemonx"} {
		if got, err := images.Resolve(reference); err == nil {
			t.Errorf("%q: %+v, want an error", reference, got)
		}
	}
}

func FuzzSplitReference(f *testing.F) {
	for _, seed := range []string{"a", "a:b", "h:1/a", "h:1/a:b@sha256:c", "@", ":", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		repository, tag := splitReference(reference)
		if len(repository) > len(reference) || tag == reference && reference != "latest" && reference != "" {
			t.Errorf("%q: %q, %q", reference, repository, tag)
		}
	})
}
