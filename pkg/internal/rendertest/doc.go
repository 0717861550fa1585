// Package rendertest helps the renderers' tests: golden directories, and running the real programs where they can do
// no harm.
package rendertest
