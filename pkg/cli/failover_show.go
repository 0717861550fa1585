package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/printer"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/timeline"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
	"github.com/kubectl-lb/kubectl-lb/pkg/cli/view"
	"github.com/kubectl-lb/kubectl-lb/pkg/internal/version"
)

// newReport starts the document of a test.
func (o *failoverOptions) newReport(ctx context.Context, c *cluster, plan v1alpha1.FailoverPlan,
	docs view.Documents) *v1alpha1.FailoverReport {
	return &v1alpha1.FailoverReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindFailoverReport},
		Started:  metav1.NewTime(o.now().UTC().Truncate(time.Second)), By: c.whoami(ctx),
		Client: version.String(), Cluster: docs.Config.Fleet.Cluster, Plan: plan, Runs: []v1alpha1.FailoverRun{},
	}
}

// showDryRun prints the plan as data.
func (o *failoverOptions) showDryRun(r *v1alpha1.FailoverReport) error {
	if !o.output.Human() {
		return o.output.Print(o.Out, r)
	}
	for _, line := range planLines(r.Plan) {
		fmt.Fprintln(o.Out, printer.Escape(line))
	}
	return o.showAddresses(r.Plan, o.tableOptions(o.output))
}

// describe shows the plan beside the data.
func (o *failoverOptions) describe(plan v1alpha1.FailoverPlan) {
	for _, line := range planLines(plan) {
		o.note("%s", printer.Escape(line))
	}
	aside := *o.program
	aside.Out = o.ErrOut
	beside := *o
	beside.program = &aside
	_ = beside.showAddresses(plan, printer.Options{})
}

// planLines say what is going to happen.
func planLines(plan v1alpha1.FailoverPlan) []string {
	lines := []string{fmt.Sprintf("%s is going to fail (%s), %s; %d addresses move.", plan.Node, plan.Kind,
		times(plan.Count), len(plan.Addresses))}
	if len(plan.Addresses) == 1 {
		lines[0] = strings.Replace(lines[0], "1 addresses move", "1 address moves", 1)
	}
	lines = append(lines, fmt.Sprintf(
		"Once all have answered elsewhere for %s, the fault is ended; %s ends it by itself after %s.",
		plan.HoldMillis.Duration(), plan.Node, plan.DurationMillis.Duration()))
	if len(plan.Targets) == 0 {
		lines = append(lines, "Nothing is probed; only the nodes' reports count.")
	} else {
		lines = append(lines, fmt.Sprintf("Probed every %s from here, at most %s without an answer: %s.",
			plan.ProbeIntervalMillis.Duration(), plan.MaxGapMillis.Duration(), targetList(plan.Targets)))
	}
	for _, w := range plan.Warnings {
		lines = append(lines, "Warning: "+w+".")
	}
	return lines
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func targetList(targets []v1alpha1.FailoverTarget) string {
	var words []string
	for _, t := range targets {
		words = append(words, t.Address.String())
	}
	return strings.Join(words, ", ")
}

// showAddresses lists what moves, and to whom.
func (o *failoverOptions) showAddresses(plan v1alpha1.FailoverPlan, table printer.Options) error {
	var rows [][]printer.Cell
	for _, a := range plan.Addresses {
		rows = append(rows, printer.Text(a.Address.String(), a.Namespace+"/"+a.Name, strconv.Itoa(a.Group), plan.Node,
			printer.Or(a.Successor, printer.None)))
	}
	columns := []printer.Column{
		{Name: "ADDRESS"}, {Name: "LOADBALANCER"}, {Name: "GROUP"}, {Name: "FROM"}, {Name: "EXPECTED"},
	}
	return printer.Table(o.Out, columns, rows, table)
}

// conclude prints and writes what came of the test. What did not pass is exit status 3.
func (o *failoverOptions) conclude(r *v1alpha1.FailoverReport) error {
	if o.reportFile != "" {
		page, err := timeline.Render(r)
		if err == nil {
			err = os.WriteFile(o.reportFile, page, 0o644) //nolint:gosec // a report is meant to be shown
		}
		if err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		o.note("The report is in %s", o.reportFile)
	}
	var err error
	switch {
	case o.output.Name():
		_, err = fmt.Fprintf(o.Out, "%s\n", r.Summary.Result)
	case !o.output.Human():
		err = o.output.Print(o.Out, r)
	default:
		err = o.showRuns(r)
	}
	if err == nil && r.Summary.Result != v1alpha1.FailoverPassed {
		return errFindings
	}
	return err
}

// showRuns prints the runs, and the figures of several.
func (o *failoverOptions) showRuns(r *v1alpha1.FailoverReport) error {
	var rows [][]printer.Cell
	for _, run := range r.Runs {
		color := printer.Good
		if run.Result != v1alpha1.FailoverPassed {
			color = printer.Bad
		}
		row := printer.Text(strconv.Itoa(run.Number), string(run.Result), millis(run.GapMillis), millis(run.ReturnGapMillis),
			fmt.Sprintf("%d/%d", run.Lost, run.Sent), millis(takeover(run)), takers(run), printer.Or(run.Message, printer.None))
		row[1].Color = color
		rows = append(rows, row)
	}
	table := o.tableOptions(o.output)
	columns := []printer.Column{
		{Name: "RUN"}, {Name: "RESULT"}, {Name: "GAP"}, {Name: "BACK"}, {Name: "LOST"}, {Name: "TAKEOVER"}, {Name: "BY"},
		{Name: "MESSAGE", Wide: true},
	}
	if err := printer.Table(o.Out, columns, rows, table); err != nil {
		return err
	}
	if len(r.Runs) > 1 {
		if err := o.showStatistics(r.Summary, table); err != nil {
			return err
		}
	}
	o.noteNoise(r)
	if last := r.Runs[len(r.Runs)-1]; last.Message != "" && !o.output.Wide() {
		o.note("run %d: %s", last.Number, last.Message)
	}
	return nil
}

// noisy is the size of delays from which on they are worth a note.
const noisy = v1alpha1.Millis(30 * time.Millisecond)

// noteNoise tells where answers came late even before anything was done.
func (o *failoverOptions) noteNoise(r *v1alpha1.FailoverReport) {
	var noise v1alpha1.Millis
	for _, run := range r.Runs {
		if run.NoiseMillis != nil {
			noise = max(noise, *run.NoiseMillis)
		}
	}
	if noise >= noisy {
		o.note("note: answers were up to %s apart before anything was done, so gaps of that size say nothing", millis(&noise))
	}
}

func (o *failoverOptions) showStatistics(s v1alpha1.FailoverSummary, table printer.Options) error {
	var rows [][]printer.Cell
	for _, f := range []struct {
		name string
		s    *v1alpha1.Statistics
	}{{"gap", s.Gap}, {"back", s.ReturnGap}, {"takeover", s.Takeover}} {
		if f.s != nil {
			rows = append(rows, printer.Text(f.name, strconv.Itoa(f.s.N), millis(&f.s.MinMillis), millis(&f.s.MedianMillis),
				millis(&f.s.P95Millis), millis(&f.s.MaxMillis)))
		}
	}
	fmt.Fprintln(o.Out)
	columns := []printer.Column{
		{Name: "FIGURE"}, {Name: "RUNS"}, {Name: "MIN"}, {Name: "MEDIAN"}, {Name: "P95"}, {Name: "MAX"},
	}
	return printer.Table(o.Out, columns, rows, table)
}

// millis shows a figure in whole milliseconds.
func millis(m *v1alpha1.Millis) string {
	if m == nil {
		return printer.None
	}
	return fmt.Sprintf("%dms", m.Duration().Round(time.Millisecond).Milliseconds())
}

// takeover is the time from the fault to the last takeover.
func takeover(run v1alpha1.FailoverRun) *v1alpha1.Millis {
	if run.FaultMillis == nil || run.TakeoverMillis == nil {
		return nil
	}
	m := *run.TakeoverMillis - *run.FaultMillis
	return &m
}

// takers says who took over how many addresses.
func takers(run v1alpha1.FailoverRun) string {
	counts := map[string]int{}
	var names []string
	for _, m := range run.Moves {
		name := printer.Or(m.To, "nobody")
		counts[name]++
		if counts[name] == 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%s (%d)", n, counts[n])
	}
	return strings.Join(names, ", ")
}

// started and ended are what the Events say.
func (t *tester) started(id string) string {
	return fmt.Sprintf("failover test %s: %s on %s, %d addresses move%s", id, t.plan.Kind, t.plan.Node,
		len(t.plan.Addresses), byWhom(t.by))
}

func (t *tester) ended(run v1alpha1.FailoverRun) string {
	text := fmt.Sprintf("failover test %s: %s on %s: %s", run.ID, t.plan.Kind, t.plan.Node, run.Result)
	if run.Message != "" {
		text += ", " + run.Message
	}
	if run.GapMillis != nil {
		text += fmt.Sprintf("; longest gap %s, back %s, %d of %d probes lost", millis(run.GapMillis),
			millis(run.ReturnGapMillis), run.Lost, run.Sent)
	}
	return text + "; taken over by " + printer.Or(takers(run), "nobody")
}
