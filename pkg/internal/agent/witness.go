package agent

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/ifaddr"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/witness"
	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

const (
	// reasonWitness is to shut: the witness is lost.
	reasonWitness = "witness"
	// witnessEvery is the shortest time between two questions.
	witnessEvery = 50 * time.Millisecond
	witnessName  = "witness.json"
)

// witnessRecord is what is remembered of a witness on the disk: a node that comes back while it is cut off must not
// trust a witness less than before.
type witnessRecord struct {
	// Witness is whom it is about.
	Witness nodeconfig.Witness `json:"witness"`
	State   witness.State      `json:"state"`
}

func (o Options) witnessPath() string { return filepath.Join(o.StateDir, witnessName) }

// recallWitness returns what was known of the witness; nothing where it is another one.
func (a *Agent) recallWitness(w nodeconfig.Witness) witness.State {
	var r witnessRecord
	if err := readJSON(a.opts.witnessPath(), &r); err != nil {
		a.opts.Log.Warn("what was known of the witness is forgotten", "error", err)
	}
	if fmt.Sprint(r.Witness) != fmt.Sprint(w) {
		return ""
	}
	return r.State
}

// mindWitness shuts the gate where the witness was lost when the daemon ended.
func (a *Agent) mindWitness(saved *nodeconfig.Config) {
	if saved != nil && saved.Fleet.Witness.Mode != "" && a.recallWitness(saved.Fleet.Witness) == witness.Lost {
		a.Shut(reasonWitness, "the witness did not answer when lb-daemon ended")
	}
}

// watchWitness shuts the gate while the witness is lost.
func (a *Agent) watchWitness(ctx context.Context) {
	a.senses.follow(ctx, func(s surroundings) string {
		return fmt.Sprint(s.own, s.witness, s.timing.AdvertInterval)
	}, a.askWitness)
}

func (a *Agent) askWitness(ctx context.Context, s surroundings) {
	if s.witness.Mode == "" {
		a.heardWitness(s, "", nil)
		<-ctx.Done()
		return
	}
	asker := &witness.Asker{Mode: s.witness.Mode, Interface: s.iface, Senders: s.own}
	defer asker.Close()
	route := &witness.Route{Interface: s.iface, Failed: func(err error) {
		a.opts.Log.Warn("the gateways cannot be read", "error", err)
	}}
	var asked []netip.Addr
	failing := false
	witness.Watch{
		Interval: max(witnessEvery, time.Duration(s.timing.AdvertInterval)),
		Addresses: func() []netip.Addr {
			if asked = s.witness.Addresses; len(asked) == 0 {
				asked = route.Gateways()
			}
			return asked
		},
		Ask: func(ctx context.Context, addrs []netip.Addr, within time.Duration) bool {
			if a.senses.muted.Load() {
				pause(ctx, within)
				return false
			}
			answered, err := asker.Ask(ctx, addrs, within)
			if err != nil && !failing {
				a.opts.Log.Warn("the witness cannot be asked", "error", err)
			}
			failing = err != nil
			return answered
		},
		Known:  a.recallWitness(s.witness),
		Report: func(state witness.State) { a.heardWitness(s, state, asked) },
	}.Run(ctx)
}

// heardWitness acts on what became of the witness; the state is empty where none is configured.
func (a *Agent) heardWitness(s surroundings, state witness.State, asked []netip.Addr) {
	a.senses.mu.Lock()
	before := a.senses.witness
	a.senses.witness = state
	a.senses.mu.Unlock()
	var found []nodeconfig.NodeFinding
	finding := func(format string, args ...any) {
		found = []nodeconfig.NodeFinding{{Finding: lb.Finding{
			Code: lb.CodeNodeRefused, Message: "node " + a.opts.Node + ": " + fmt.Sprintf(format, args...),
		}}}
	}
	switch state {
	case witness.Lost:
		a.Shut(reasonWitness, "the witness "+ifaddr.String(asked)+" does not answer")
	case witness.Unproven:
		finding("the witness %s has never answered and is not relied on; see software.witness", ifaddr.String(asked))
	case witness.Nobody:
		finding("%s has no default gateway, so no witness is asked; name one in software.witness", s.iface)
	}
	if state != witness.Lost {
		a.Open(reasonWitness)
	}
	if state != before {
		a.opts.Log.Info("the witness", "state", state, "addresses", ifaddr.String(asked))
	}
	if state == witness.There && before == witness.Lost {
		poke(a.senses.repeat)
	}
	a.track.findings(reasonWitness, found)
	if state != witness.There && state != witness.Lost {
		return
	}
	if err := writeJSON(a.opts.witnessPath(), witnessRecord{s.witness, state}); err != nil {
		a.opts.Log.Warn("what is known of the witness is not written down", "error", err)
	}
}
