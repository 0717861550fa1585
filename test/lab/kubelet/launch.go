package kubelet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-lb/kubectl-lb/test/lab/sandbox"
)

// errImage marks images that the lab has no program for.
var errImage = errors.New("no such image")

// sandboxSpec resolves everything that the container needs.
func (c *container) sandboxSpec() (sandbox.Spec, error) {
	r := c.pod
	image, err := r.k.opts.Images.Resolve(c.spec.Image)
	if err != nil {
		return sandbox.Spec{}, fmt.Errorf("%w: %w", errImage, err)
	}
	if image.Program != "" {
		if _, err := os.Stat(image.Program); err != nil {
			return sandbox.Spec{}, fmt.Errorf("%w: image %s: %w", errImage, c.spec.Image, err)
		}
	}
	env, err := environment(r.ctx, r.objects, r.spec, c.spec, c.baseEnv(image), r.at)
	if err != nil {
		return sandbox.Spec{}, err
	}
	mounts, err := r.volumes().mounts(c.spec)
	if err != nil {
		return sandbox.Spec{}, err
	}
	roots := filepath.Join(r.dir, "roots")
	if err := os.MkdirAll(roots, 0o755); err != nil {
		return sandbox.Spec{}, err
	}
	hostname := r.spec.Name
	if r.spec.Spec.HostNetwork {
		hostname = r.node.Name
	} else if r.spec.Spec.Hostname != "" {
		hostname = r.spec.Spec.Hostname
	}
	return sandbox.Spec{
		Program: image.Program, Argv: argv(c.spec, image.Entrypoint, env), Env: env, Dir: c.spec.WorkingDir,
		Hostname: hostname, Mounts: mounts, Root: filepath.Join(roots, c.spec.Name),
	}, nil
}

// argv is command and args as Kubernetes combines them: a command replaces the image's entrypoint.
func argv(spec *corev1.Container, entrypoint, env []string) []string {
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
	}
	words := entrypoint
	if len(spec.Command) > 0 {
		words = spec.Command
	}
	var out []string
	for _, w := range append(slices.Clip(words), spec.Args...) {
		out = append(out, expand(w, values))
	}
	return out
}

// baseEnv is what every container has: the image's, the lab's and the cluster's own.
func (c *container) baseEnv(image Image) []string {
	r := c.pod
	api := r.k.opts.API
	env := []string{
		"PATH=" + sandbox.Path, "HOME=/root", "HOSTNAME=" + r.spec.Name,
		"KUBERNETES_SERVICE_HOST=" + api.Addr().String(),
		"KUBERNETES_SERVICE_PORT=" + strconv.Itoa(int(api.Port())),
		"KUBERNETES_SERVICE_PORT_HTTPS=" + strconv.Itoa(int(api.Port())),
		"KUBERNETES_PORT=tcp://" + net.JoinHostPort(api.Addr().String(), strconv.Itoa(int(api.Port()))),
	}
	env = append(env, r.k.opts.Env...)
	env = append(env, image.Env...)
	if filepath.Base(image.Program) == "hello" {
		env = append(env, helloEnv(r.spec, c.spec, r.at)...)
	}
	return env
}

// helloEnv tells the hello server where to listen: the container's first TCP port is its web server (default 80), a
// second one its TCP echo, the first UDP port its UDP echo (both default 7).
func helloEnv(pod *corev1.Pod, spec *corev1.Container, at place) []string {
	var tcp, udp []int32
	for _, p := range spec.Ports {
		switch p.Protocol {
		case corev1.ProtocolUDP:
			udp = append(udp, p.ContainerPort)
		case corev1.ProtocolTCP, "":
			tcp = append(tcp, p.ContainerPort)
		}
	}
	env := []string{"POD_NAME=" + pod.Name, "NODE_NAME=" + pod.Spec.NodeName, "POD_IPS=" + join(at.podIPs)}
	if len(tcp) > 0 {
		env = append(env, fmt.Sprintf("PORT=%d", tcp[0]))
	}
	if len(tcp) > 1 {
		env = append(env, fmt.Sprintf("TCP_PORT=%d", tcp[1]))
	}
	if len(udp) > 0 {
		env = append(env, fmt.Sprintf("UDP_PORT=%d", udp[0]))
	}
	return env
}
