// Package configmap is the source for ConfigMaps that carry the label "app: loadbalancer". One table ([Keys]) says
// which keys they have; it drives the reading, the hints at misspelt keys, and docs/configmap.md.
//
// A value is never trusted: before it is read it must be short, printable UTF-8, and what leaves this package is a
// number, an address, or a string of a few harmless characters. Findings quote what the user wrote, shortened and with
// everything unprintable escaped.
//
// The package writes nothing and knows no backend. What a Service does not allow ([AnnotationAllowFrom]) it does not
// tell either: a Service of another namespace without leave looks as if it did not exist.
package configmap
