// Package vrrp says and hears what keepalived can't: it resigns for a keepalived that was killed, and listens for
// adverts that are not the fleet's own.
//
// It is no VRRP router. It never elects, and keeps no state.
package vrrp
