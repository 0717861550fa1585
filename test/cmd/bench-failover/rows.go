package main

import (
	"context"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
	"github.com/kubectl-lb/kubectl-lb/test/lab"
)

// part is a line of the table: what was done, and what is hoped for on the default profile.
type part struct{ what, goal string }

// row is a fault, and what belongs to it: the way back, mostly.
type row struct {
	key string
	part
	back   *part
	trials int
	// only is the profile that the row is measured on; empty means all.
	only string
	// software is the cluster's configuration, with %s for the profile; empty means the profile and nothing else.
	software string
	// headless rows have no API server before each trial.
	headless bool
	// do performs one trial and returns what was seen for each part.
	do func(ctx context.Context, s *stage, n int) ([]trial, error)
	// after mends what the trials left, once.
	after func(ctx context.Context, s *stage) error
}

// on is the configuration of the cluster that the row is measured on.
func (r row) on(profile string) string {
	software := r.software
	if software == "" {
		software = "{timing: {profile: %s}}"
	}
	return strings.ReplaceAll(software, "%s", profile)
}

func (r row) parts() []part {
	if r.back == nil {
		return []part{r.part}
	}
	return []part{r.part, *r.back}
}

// rows returns the table, in the order in which it is measured: what leaves much behind comes last.
func rows() []row {
	return []row{
		{key: "lost", trials: 100,
			part: part{"node lost: link down and everything killed", "median ≤ 150 ms, max ≤ 300 ms; fast: median ≤ 75 ms"},
			back: &part{"… and back after a boot", "0"}, do: lost},
		{key: "drain", trials: 100, part: part{"drain", "median ≤ 10 ms, no new connection fails"},
			back: &part{"undrain", "the same"}, do: drain},
		{key: "nginx-killed", trials: 100, part: part{"nginx killed, master and workers", "≤ 150 ms"},
			do: killed(lab.Nginx)},
		{key: "nginx-hung", trials: 100, part: part{"nginx hung (stopped)", "≤ 1 s"},
			back: &part{"… and going on", "0"}, do: hung},
		{key: "keepalived-killed", trials: 20, part: part{"keepalived killed, both processes", "≤ 250 ms, no stale address"},
			do: killed(lab.Keepalived)},
		{key: "daemon-killed", trials: 20, part: part{"lb-daemon killed", "0, nothing moves"}, do: daemonKilled},
		{key: "daemon-upgrade", trials: 20, part: part{"lb-daemon replaced (its pod deleted)", "0"}, do: daemonReplaced},
		{key: "churn", trials: 200,
			part: part{"address added, nodes told one after the other, in every order", "0 on the others, one owner"},
			back: &part{"address removed, likewise", "0 on the others"}, do: churn},
		{key: "node-removed", trials: 20, part: part{"node removed (label taken away)", "0"},
			back: &part{"node added", "0"}, do: relabelled},
		{key: "saturated", trials: 1, part: part{"all cores kept busy", "0 moves"}, do: saturated},
		{key: "partition", trials: 20, part: part{"partition, no witness: each side has an owner", "one owner a side"},
			back: &part{"… and healed", "one owner ≤ 1 s"}, do: partition},
		{key: "headless", trials: 20, headless: true,
			part: part{"API server and controllers away, then node lost", "as a node lost"},
			back: &part{"… and back, still without them", "0"}, do: headless, after: apiBack},
		{key: "thousand", trials: 20, part: part{"1,000 addresses, node lost", "all answering ≤ 1 s"},
			back: &part{"… and the thousand back", "–"}, do: thousand},
		{key: "lost-often", trials: 300, only: "fast",
			software: "{timing: {profile: custom, advertInterval: 20ms, holdTime: 1s}}",
			part:     part{"node lost, hold time 1 s (more trials in less time)", "somebody always takes over"},
			back:     &part{"… and back after a boot, hold time 1 s", "0"}, do: lost},
		{key: "witness", trials: 20, software: "{timing: {profile: %s}, witness: {mode: arp}}",
			part: part{"partition with a witness: the cut-off node gives up", "exactly one owner"},
			back: &part{"… and healed, with a witness", "≤ 1 s"}, do: witnessed},
	}
}

// victim takes the nodes in turn.
func (s *stage) victim(n int) string { return s.nodes[n%len(s.nodes)] }

// pair performs a fault and the way back, which must get everything home.
func (s *stage) pair(ctx context.Context, fault, back act) ([]trial, error) {
	first, err := s.perform(ctx, fault)
	if err != nil {
		return nil, err
	}
	if back.over == nil {
		back.over, back.limit = s.home, patience
	}
	second, err := s.perform(ctx, back)
	if err != nil {
		return nil, err
	}
	if second.Victim == "" {
		second.Victim = first.Victim
	}
	return []trial{first, second}, nil
}

func lost(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	return s.pair(ctx,
		act{victim: node, do: func() error { return s.rig.Lab.PowerOff(ctx, node) }, over: s.moved(node, s.on(node))},
		act{do: func() error { return s.rig.Lab.PowerOn(ctx, node) }})
}

func drain(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	order := &nodeconfig.Order{Drain: &nodeconfig.Drain{Since: time.Now(), By: "bench-failover"}}
	return s.pair(ctx,
		act{victim: node, do: func() error { return s.rig.Order(ctx, node, order) }, over: s.moved(node, s.on(node))},
		act{do: func() error { return s.rig.Order(ctx, node, nil) }})
}

// killed kills a program that the daemon starts again by itself.
func killed(program string) func(context.Context, *stage, int) ([]trial, error) {
	return func(ctx context.Context, s *stage, n int) ([]trial, error) {
		node := s.victim(n)
		t, err := s.perform(ctx, act{
			victim: node, tail: time.Second, do: func() error { return s.rig.Lab.Kill(node, program) },
		})
		return []trial{t}, err
	}
}

func hung(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	return s.pair(ctx,
		act{
			victim: node, do: func() error { return s.rig.Lab.FreezeProgram(node, lab.Nginx) },
			over: s.moved(node, s.on(node)),
		},
		act{do: func() error {
			_ = s.rig.Lab.ThawProgram(node, lab.Nginx) // the daemon may have killed and replaced it, which is as good
			return nil
		}})
}

func daemonKilled(ctx context.Context, s *stage, n int) ([]trial, error) {
	node := s.victim(n)
	t, err := s.perform(ctx, act{
		victim: node, still: true, tail: 3 * time.Second, do: func() error { return s.rig.Lab.KillDaemon(node) },
	})
	return []trial{t}, err
}
