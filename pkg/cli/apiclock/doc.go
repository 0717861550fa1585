// Package apiclock makes the times in the nodes' documents comparable with this machine's clock. Three clocks meet in
// kubectl lb: the user's, the API server's and each node's. None of them has to be right here: the API server notes
// when it stored a node's report, and says what time it is with every answer, so that the age of a report is the
// difference of two times of one clock.
//
// It never asks anybody for the time: it listens to the answers that are there anyway.
package apiclock
