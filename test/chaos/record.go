package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// What a record says.
type What string

// The kinds of records.
const (
	Began   What = "began"   // the run: Names are the nodes, Clients the clients, Addresses those that are judged
	Added   What = "added"   // Address is on Node's link
	Removed What = "removed" // it is not any more
	Up      What = "up"      // Node's link is up
	Down    What = "down"    // it is down
	Broken  What = "broken"  // fault ID of Kind begins, on Node where it concerns one
	Mended  What = "mended"  // fault ID ends
	Given   What = "given"   // load balancer Name has Address
	Taken   What = "taken"   // it has not any more
	Silent  What = "silent"  // Client had no answer from Address until Until
	Stalled What = "stalled" // Client's machine was not at work until Until, so that nobody can say who answered
	Settled What = "settled" // after the last fault, every address has one owner and answers
	Home    What = "home"    // … and everything is where and how it was in the beginning
	Left    What = "left"    // Note says what was left behind
	Remark  What = "remark"  // Note is for people
)

// Record is a line of a history.
type Record struct {
	// At is the time since the run began.
	At   time.Duration `json:"at"`
	What What          `json:"what"`

	Node      string        `json:"node,omitempty"`
	Address   netip.Addr    `json:"address,omitzero"`
	ID        int           `json:"id,omitempty"`
	Kind      Kind          `json:"kind,omitempty"`
	Name      string        `json:"name,omitempty"`
	Client    string        `json:"client,omitempty"`
	Until     time.Duration `json:"until,omitempty"`
	Note      string        `json:"note,omitempty"`
	Nodes     []string      `json:"nodes,omitempty"`
	Clients   []string      `json:"clients,omitempty"`
	Addresses []netip.Addr  `json:"addresses,omitempty"`
}

// History is a run's records, sorted by time.
type History []Record

func (h History) sort() {
	slices.SortStableFunc(h, func(a, b Record) int { return int(a.At - b.At) })
}

// Write writes the history as lines of JSON.
func (h History) Write(to io.Writer) error {
	encoder := json.NewEncoder(to)
	for _, r := range h {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Write wrote.
func Read(from io.Reader) (History, error) {
	var h History
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		h = append(h, r)
	}
	h.sort()
	return h, lines.Err()
}
