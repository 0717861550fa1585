package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Response is an HTTP response with its body.
type Response struct {
	Code   int
	Header http.Header
	Body   string
}

// Request makes one HTTP request from a machine of the lab, on a connection of its own, to address:port, with a host
// header and a path; at most 2 s.
func (r *Rig) Request(ctx context.Context, from, address, host, path string) (Response, error) {
	d, err := r.dialer(from)
	if err != nil {
		return Response{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	target := url.URL{Scheme: "http", Host: address, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return Response{}, err
	}
	req.Host = host
	client := http.Client{
		Transport:     &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Response{Code: res.StatusCode, Header: res.Header, Body: string(body)}, err
}

// Get fetches a page of a load balancer at its port 80 as curl does, from a machine of the lab. Anything but 200 is an
// error.
func (r *Rig) Get(ctx context.Context, from, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	host := u.Hostname()
	if u.Host != "" && u.Host[0] == '[' {
		host = "[" + host + "]"
	}
	res, err := r.Request(ctx, from, host+":"+port, u.Host, u.Path)
	if err == nil && res.Code != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %.200s", address, res.Code, res.Body)
	}
	return res.Body, err
}
