package controller

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubectl-lb/kubectl-lb/pkg/backend"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/plan"
)

// condition is what a status says in one word.
type condition string

const (
	conditionNone    condition = ""
	conditionReady   condition = "SUCCESS"
	conditionPending condition = "PENDING"
	conditionInvalid condition = "ERROR"
)

// maxStatus is the length of a status in bytes; it must also fit into an Event's note, which ends at 1024.
const maxStatus = 900

// verdict is what became of a wish.
type verdict struct {
	origin    lb.Origin
	condition condition
	// bindIP and status are the values of the keys; an empty bindIP means that there is no such key.
	bindIP, status string
	// keepIP leaves bind-ip as it is: it may be the only memory of an address that could not be adopted yet.
	keepIP bool
	// unknown says that nothing is known yet: what the object says already stays.
	unknown bool
	// moving says that what was ready is still to be called so: its address may be on its way between nodes.
	moving   bool
	findings []lb.Finding
	// stay are the codes of warnings of which nobody can say yet whether they stand: those that are told already do.
	stay []lb.Code
	// cloud is what the cloud says of it; nil where there is none.
	cloud *lb.CloudStatus
}

// judge says what became of a wish, from what the plan granted and what the backend has been told.
func judge(o plan.Outcome, served *lb.LoadBalancer, h backend.Health) verdict {
	v := verdict{origin: o.Origin, findings: slices.Concat(o.Findings, h.Findings)}
	if served != nil {
		v.bindIP = joinAddresses(served.VIPs)
	}
	failed := slices.IndexFunc(v.findings, func(f lb.Finding) bool { return f.Severity() == lb.SeverityError })
	switch {
	case failed >= 0:
		v.set(conditionInvalid, v.findings[failed].String())
	case served == nil || !slices.Equal(served.VIPs, o.VIPs):
		v.keepIP = served == nil
		v.set(conditionPending, "its configuration could not be handed to the nodes yet")
	case !h.Ready:
		v.moving = h.Moving
		v.set(conditionPending, h.Reason)
	default:
		v.set(conditionReady, "")
	}
	return v
}

func (v *verdict) set(c condition, text string) {
	v.condition, v.status = c, string(c)
	if text != "" {
		v.status = printable(string(c)+" : "+text, maxStatus)
	}
}

// after returns the verdict as it is to be written over an earlier one.
func (v verdict) after(earlier written) verdict {
	if v.keepIP {
		v.bindIP = earlier.bindIP
	}
	told, stay := warningsOf(earlier.warnings), v.stay
	if v.moving && v.bindIP == earlier.bindIP {
		stay = append(slices.Clone(stay), lb.CodeTwoOwners, lb.CodeNoOwner)
		switch {
		case conditionOf(earlier.status) == conditionReady:
			v.set(conditionReady, "")
		case slices.ContainsFunc(told, disputes):
			v.status = earlier.status // a controller that starts anew has not seen for how long
		}
	}
	for _, f := range told {
		if slices.Contains(stay, f.Code) && !slices.Contains(v.findings, f) {
			v.findings = append(slices.Clip(v.findings), f)
		}
	}
	return v
}

// disputes reports whether a finding says that an address has no owner, or two.
func disputes(f lb.Finding) bool { return f.Code == lb.CodeTwoOwners || f.Code == lb.CodeNoOwner }

// conditionOf returns what a status says in one word.
func conditionOf(status string) condition {
	word, _, _ := strings.Cut(status, " ")
	switch c := condition(word); c {
	case conditionReady, conditionPending, conditionInvalid:
		return c
	default:
		return conditionNone
	}
}

func joinAddresses(as []netip.Addr) string {
	parts := make([]string, 0, len(as))
	for _, a := range as {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, ",")
}

// printable returns the text on one line of at most so many bytes, with everything that could move a terminal's cursor
// or break a log line escaped. Node reports carry other programs' words.
func printable(s string, limit int) string {
	const more = "…"
	var b strings.Builder
	for _, r := range s {
		part := string(r)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			part = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(part) > limit-len(more) {
			return b.String() + more
		}
		b.WriteString(part)
	}
	return b.String()
}
