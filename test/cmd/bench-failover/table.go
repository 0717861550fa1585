package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/rig"
)

// result is a line of the table with its trials.
type result struct {
	what, goal string
	trials     []trial
}

// columns of the table; the last one says of which commit the row is.
const columns = "| what | goal | trials | outage at a client, min / median / p95 / max | other addresses, max | " +
	"connections failed | new owner (kernel), median / max | no owner, max | two owners, max | spurious moves | " +
	"not taken over | the measurement's own stalls, median / max | commit |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"

// cells are the row without its commit.
func (r result) cells() []string {
	failed, made, moves, missed := 0, 0, 0, 0
	for _, t := range r.trials {
		failed, made, moves = failed+t.Failed, made+t.Connections, moves+t.Moves
		if t.Missed {
			missed++
		}
	}
	column := func(pick func(trial) time.Duration) []time.Duration {
		var all []time.Duration
		for _, t := range r.trials {
			all = append(all, pick(t))
		}
		slices.Sort(all)
		return all
	}
	gaps := column(func(t trial) time.Duration { return t.Gap })
	own := column(func(t trial) time.Duration { return t.Owner })
	stalls := column(func(t trial) time.Duration { return t.Stall })
	largest := func(pick func(trial) time.Duration) string { return ms(quantile(column(pick), 1)) }
	return []string{
		r.what, r.goal, strconv.Itoa(len(r.trials)),
		fmt.Sprintf("%s / **%s** / %s / %s",
			ms(gaps[0]), ms(quantile(gaps, .5)), ms(quantile(gaps, .95)), ms(quantile(gaps, 1))),
		largest(func(t trial) time.Duration { return t.Others }),
		fmt.Sprintf("%d of %d", failed, made),
		fmt.Sprintf("%s / %s", ms(quantile(own, .5)), ms(quantile(own, 1))),
		largest(func(t trial) time.Duration { return t.Nobody }),
		largest(func(t trial) time.Duration { return t.Several }),
		strconv.Itoa(moves), strconv.Itoa(missed),
		fmt.Sprintf("%s / %s", ms(quantile(stalls, .5)), ms(quantile(stalls, 1))),
	}
}

func (r result) line() string { return "| " + strings.Join(r.cells(), " | ") + " |" }

// quantile is of sorted values; the nearest rank, so that it is one that was measured.
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(q*float64(len(sorted))+0.9999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// ms says a duration in milliseconds, with one decimal below ten.
func ms(d time.Duration) string {
	f := float64(d) / float64(time.Millisecond)
	if d != 0 && f < 10 {
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// publish puts the rows into their section, in the order of rows(); what was measured before and is not measured now
// stays, with the commit that it is of.
func publish(path, profile, repo string, measured []result) error {
	name := "bench-failover " + profile
	old, err := rig.Section(path, name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lines := tableLines(old)
	commit := rig.Commit(repo)
	for _, r := range measured {
		lines[r.what] = strings.TrimSuffix(r.line(), "|") + "| " + commit + " |"
	}
	return rig.WriteSection(path, name, document(profile, lines))
}

// tableLines returns the rows of a section by their first cell.
func tableLines(section string) map[string]string {
	head, _, _ := strings.Cut(columns, "\n")
	lines := map[string]string{}
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		cells := strings.Split(line, " | ")
		what := strings.TrimPrefix(cells[0], "| ")
		if strings.HasPrefix(line, "| ") && len(cells) == strings.Count(head, " | ")+1 {
			lines[what] = line
		}
	}
	return lines
}

func document(profile string, lines map[string]string) string {
	var t strings.Builder
	fmt.Fprintf(&t, `## Failover, profile %[2]s%[3]s%[2]s

Written by %[2]smake bench-failover%[2]s; all figures are milliseconds. Thirty addresses on three load-balancer nodes;
the fault hits one node, and the row counts the worst of its addresses. The client asks every address by an ICMP echo
request every 5 ms from threads of the highest priority, and makes a new TCP connection with one HTTP request every 5 ms
to one of them; an outage lasts from the last request that was answered before it to the first one answered after it.
Who holds an address is what the kernels say (netlink events in each node's network namespace). The measurement's own
stalls are how late its own requests were, and outages of what no fault touched: the bridge, and an address of another
node. Goals are those of the default profile.

- Date of the last run: %[1]s
- Machine: %[4]s; it runs the control plane, all nodes and the measurement.

`, time.Now().UTC().Format(time.DateOnly), "`", profile, rig.Machine())
	t.WriteString(columns)
	for _, r := range rows() {
		for _, p := range r.parts() {
			if line, ok := lines[p.what]; ok {
				t.WriteString(line + "\n")
			}
		}
	}
	return t.String()
}
