// Package probe asks addresses from where the user stands, at a fixed rate, and notes what was answered. Each probe is
// a new TCP connection, with one HTTP request where the listener speaks HTTP, and has a deadline of its own; a slow one
// delays no other.
//
// It decides nothing: what the answers mean is the business of pkg/cli/drill.
package probe
