package lb

import "time"

// Options are what can be asked of a listener beyond where its traffic goes. The zero value leaves everything to the
// backend.
type Options struct {
	Timeouts Timeouts `json:"timeouts,omitzero"`
	// Responses is how many datagrams answer one of a UDP client's, after which its session is over; zero means any
	// number, and only [Timeouts.Idle] ends it.
	Responses int `json:"responses,omitempty"`
}

// Timeouts bound how long a listener waits, in whole milliseconds; zero leaves it to the backend.
type Timeouts struct {
	// Idle is how long a TCP connection or a UDP session may carry nothing.
	Idle time.Duration `json:"idle,omitempty"`
}
