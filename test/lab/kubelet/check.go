package kubelet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probe makes the container's checks while the context lives: the start-up probe first, then readiness and liveness.
// A failed liveness or start-up probe is sent to unhealthy.
func (c *container) probe(ctx context.Context, pid int, unhealthy chan<- string) {
	if p := c.spec.StartupProbe; p != nil {
		ok := c.follow(ctx, p, pid, func(bool) bool { return true })
		if ctx.Err() != nil {
			return
		}
		if !ok {
			unhealthy <- "failed its start-up probe"
			return
		}
		c.set(func() {
			c.started = true
			c.ready = c.spec.ReadinessProbe == nil
		})
	}
	if p := c.spec.ReadinessProbe; p != nil {
		go c.follow(ctx, p, pid, func(good bool) bool {
			c.set(func() { c.ready = good && c.state.Running != nil })
			return false
		})
	}
	if p := c.spec.LivenessProbe; p != nil {
		bad := false
		c.follow(ctx, p, pid, func(good bool) bool {
			bad = !good
			return bad
		})
		if bad {
			unhealthy <- "failed its liveness probe"
		}
	}
}

// follow checks at the probe's period and calls verdict each time that a threshold turns it, until verdict returns
// true or the context ends. It returns the last verdict.
func (c *container) follow(ctx context.Context, p *corev1.Probe, pid int, verdict func(good bool) bool) bool {
	period := seconds(p.PeriodSeconds, 10)
	delay := time.NewTimer(seconds(p.InitialDelaySeconds, 0))
	defer delay.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-delay.C:
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	good, known, passes, fails := false, false, int32(0), int32(0)
	for {
		err := c.check(ctx, p, pid)
		if ctx.Err() != nil {
			return good
		}
		if err == nil {
			passes, fails = passes+1, 0
		} else {
			passes, fails = 0, fails+1
			c.pod.event(corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("container %s: probe: %v", c.spec.Name, err))
		}
		turned := passes >= max(p.SuccessThreshold, 1) && (!good || !known)
		if fails >= max(p.FailureThreshold, 1) && (good || !known) {
			turned = true
		}
		if turned {
			good, known = err == nil, true
			if verdict(good) {
				return good
			}
		}
		select {
		case <-ctx.Done():
			return good
		case <-ticker.C:
		}
	}
}

// check makes one probe, from the node's own network as a kubelet does.
func (c *container) check(ctx context.Context, p *corev1.Probe, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, 1))
	defer cancel()
	switch {
	case p.HTTPGet != nil:
		return c.checkHTTP(ctx, p.HTTPGet)
	case p.TCPSocket != nil:
		port, err := c.port(p.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := c.pod.node.dialer.DialContext(ctx, "tcp", c.target(p.TCPSocket.Host, port))
		if err != nil {
			return err
		}
		return conn.Close()
	case p.Exec != nil:
		return enter(ctx, pid, p.Exec.Command)
	}
	return nil
}

func (c *container) checkHTTP(ctx context.Context, get *corev1.HTTPGetAction) error {
	port, err := c.port(get.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if get.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	url := fmt.Sprintf("%s://%s/", scheme, c.target(get.Host, port))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if request.URL, err = request.URL.Parse(get.Path); err != nil {
		return err
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			request.Host = h.Value
		}
	}
	client := http.Client{
		Transport: &http.Transport{
			DialContext: c.pod.node.dialer.DialContext, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // as kubelets do
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return nil
}

func (c *container) target(host string, port int) string {
	if host == "" {
		host = first(c.pod.at.podIPs)
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// port resolves a number or the name of one of the container's ports.
func (c *container) port(p intstr.IntOrString) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, named := range c.spec.Ports {
		if named.Name == p.StrVal {
			return int(named.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("probe: the container has no port %q", p.StrVal)
}

func seconds(n, otherwise int32) time.Duration {
	if n <= 0 {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}
