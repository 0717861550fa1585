// Package lb is the model that everything else speaks: a load balancer with its virtual IPs, listeners, routes and
// targets, the wish of a user's object for one, and the findings that say what is wrong with a wish.
//
// It knows neither Kubernetes nor nginx, keepalived or OpenStack, performs no IO, and imports only the standard
// library. Whoever fills a model sorts it (see [LoadBalancer.Normalize]); whoever reads it may rely on that order.
package lb
