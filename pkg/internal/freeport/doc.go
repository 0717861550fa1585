// Package freeport gives tests ports for programs that are told where to listen, and cannot be asked where they do.
package freeport
