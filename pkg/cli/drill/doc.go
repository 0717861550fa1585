// Package drill is the pure part of `kubectl lb failover test`: the plan of a test, the figures that probes yield, the
// decisions during a run, and what a run amounts to. It performs no IO and has no clock: what was seen, and when, is
// told to it.
//
// A run is a walk through these phases; [Run.Look] says when to take the next step:
//
//	order written ──► fault seen ──► everything taken over and answering for the hold time ──► order taken away
//	     │ refused, unheard   │ budget blown, duration over                                        │
//	     └────────────────────┴──────────► order taken away at once ───────────────────────────────┤
//	                                                                                               ▼
//	                                              done ◄── restored, every address home and answering
package drill
