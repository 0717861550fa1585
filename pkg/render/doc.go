// Package render holds what the renderers share: the files that they return.
//
// A renderer turns the model into the configuration files of one program. It is a pure function: equal input gives
// equal bytes, it performs no IO, reads no clock and knows neither Kubernetes nor the documents that travel between
// controller and daemon. Each program has a package of its own below this one.
package render
