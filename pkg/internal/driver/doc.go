// Package driver makes one nginx and one keepalived run a given generation, and proves that they do.
//
//	Check   the real program reads the generation where it was written (nginx -t, keepalived -t)
//	Run     switch to it, start the program or send it a HUP, and wait until it is seen to run
//	Stop    end the program
//
// nginx proves a generation by answering it on a unix socket; keepalived by the addresses that its own dump names and
// by those that the kernel has. A HUP by itself proves nothing: both programs go on with the old configuration when
// they cannot take the new one.
//
// Run on its own changes one program only; in which order the two of them change, and what to go back to, is the
// caller's business. Nothing here is safe for concurrent use but what says so.
package driver
