package kubelet

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Images maps image names to programs of the host.
type Images struct {
	// BinDir holds the project's programs: hello, lb-controller, lb-daemon.
	BinDir string
	// Pause is the argv of something that sleeps until SIGTERM.
	Pause []string
	// More maps further repositories ("example.com/thing", without tag) to programs.
	More map[string]string
}

// Image is what stands in for an image.
type Image struct {
	// Program is the file that the container's root gets besides the host's programs; "" for none.
	Program string
	// Entrypoint runs when the Pod names no command.
	Entrypoint []string
	// Env is set before the Pod's own.
	Env []string
}

// Resolve finds the stand-in of an image reference. The registry, the tag and the digest play no part, except that
// nginxdemos/hello:plain-text answers in plain text, as the real one.
func (im Images) Resolve(reference string) (Image, error) {
	repository, tag := splitReference(reference)
	if path, ok := im.More[repository]; ok {
		return program(path), nil
	}
	owner, base := lastTwo(repository)
	switch {
	case owner == "nginxdemos" && (base == "hello" || base == "nginx-hello"):
		image := program(filepath.Join(im.BinDir, "hello"))
		image.Env = []string{"HELLO_FORMAT=html"}
		if strings.Contains(tag, "plain-text") {
			image.Env = []string{"HELLO_FORMAT=text"}
		}
		return image, nil
	case base == "lb-controller", base == "lb-daemon":
		return program(filepath.Join(im.BinDir, base)), nil
	case base == "pause", base == "busybox", base == "alpine", base == "debian":
		return Image{Program: im.Pause[0], Entrypoint: im.Pause}, nil
	}
	return Image{}, fmt.Errorf("image %q: the lab has no program for it", reference)
}

func program(path string) Image {
	return Image{Program: path, Entrypoint: []string{"/" + filepath.Base(path)}}
}

// splitReference takes tag and digest off an image reference; a colon before the last slash belongs to a port.
func splitReference(reference string) (repository, tag string) {
	repository, _, _ = strings.Cut(reference, "@")
	slash := strings.LastIndexByte(repository, '/')
	if colon := strings.LastIndexByte(repository, ':'); colon > slash {
		return repository[:colon], repository[colon+1:]
	}
	return repository, "latest"
}

func lastTwo(repository string) (owner, base string) {
	parts := strings.Split(repository, "/")
	if n := len(parts); n > 1 {
		return parts[n-2], parts[n-1]
	}
	return "", repository
}
