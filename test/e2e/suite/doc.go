// Package suite is what the packages of end-to-end tests have in common: a run's lab with the product installed, and
// the words that their tests are written in. Each package has a lab of its own, so that two of them run at the same
// time; which tests are in which is decided by what they break.
//
// It knows nothing that only one of them needs, and holds no state: every word takes the rig that it is about.
package suite
