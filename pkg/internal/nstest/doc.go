// Package nstest gives tests a network of their own: hosts, each a network namespace, on one bridge. The network of the
// machine is never touched, and everything is gone when the test ends.
package nstest
