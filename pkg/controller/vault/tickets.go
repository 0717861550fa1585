package vault

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// rotateAfter is how long tickets are made with a key. Each is known to the nodes for as long before and after.
const rotateAfter = 12 * time.Hour

// ticketKeySize is that of a key for AES-256 (nginx, ssl_session_ticket_key).
const ticketKeySize = 80

// handTickets makes the keys of session tickets, and rotates them. The next key is handed out one rotation before it is
// used, so that no node ever gets a ticket of another one that it cannot read.
func (v *Vault) handTickets(ctx context.Context, have map[string]content) error {
	keys, now := have[ticketsName], v.now()
	rotated, err := time.Parse(time.RFC3339, v.copies.rotated)
	whole := err == nil && rotated.Before(now.Add(rotateAfter)) // clocks differ, but not by that much
	for _, name := range nodeconfig.TicketKeys() {
		whole = whole && len(keys[name]) == ticketKeySize
	}
	next := content{}
	switch {
	case !whole:
		for _, name := range nodeconfig.TicketKeys() {
			next[name] = newTicketKey()
		}
	case now.Sub(rotated) < rotateAfter:
		v.wake(rotated.Add(rotateAfter))
		return nil
	default:
		next[nodeconfig.KeyTicketBefore] = keys[nodeconfig.KeyTicketNow]
		next[nodeconfig.KeyTicketNow] = keys[nodeconfig.KeyTicketNext]
		next[nodeconfig.KeyTicketNext] = newTicketKey()
	}
	v.wake(now.Add(rotateAfter))
	return v.copies.write(ctx, have, secret{name: ticketsName, data: next, annotations: map[string]string{
		nodeconfig.AnnotationSource:  "TLS session tickets",
		nodeconfig.AnnotationRotated: now.UTC().Format(time.RFC3339),
	}})
}

func newTicketKey() []byte {
	key := make([]byte, ticketKeySize)
	_, _ = rand.Read(key) // it never fails (crypto/rand)
	return key
}
