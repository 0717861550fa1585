package timeline

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

//go:embed page.html
var pageText string

// maxOpen is how many runs are drawn unfolded: all of a few, else the first, the worst and those that did not pass.
const maxOpen = 3

// page is what the template shows.
type page struct {
	Report *v1alpha1.FailoverReport
	Title  string
	Passed bool
	// Mark is the result in a word, with a sign.
	Mark string
	// Verdict says in a sentence what came of it.
	Verdict string
	Cards   []card
	Gaps    *gapChart
	Runs    []runView
	Many    bool
}

// card is a figure and what it is.
type card struct{ Value, Label string }

// runView is a run and its drawings.
type runView struct {
	v1alpha1.FailoverRun
	Open     bool
	Takeover string
	Whole    chart
	// Close shows the takeover alone; nil where there is nothing to see.
	Close *chart
}

// Render draws a report. It fails only if the template is broken.
func Render(r *v1alpha1.FailoverReport) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"ms": ms, "optional": optional, "percent": percent, "reasons": reasons, "latency": latency,
	}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, newPage(r))
	return b.Bytes(), err
}

func newPage(r *v1alpha1.FailoverReport) page {
	p := page{
		Report: r, Title: fmt.Sprintf("Failover test: %s on %s", r.Plan.Kind, r.Plan.Node),
		Passed: r.Summary.Result == v1alpha1.FailoverPassed, Mark: resultMark(r.Summary.Result), Verdict: verdict(r),
		Cards: cards(r),
	}
	if len(r.Runs) > 1 && r.Summary.Gap != nil {
		p.Gaps = newGapChart(r)
	}
	worst := worstRun(r.Runs)
	for i, run := range r.Runs {
		v := runView{
			FailoverRun: run, Whole: wholeChart(r.Plan, run), Close: closeUp(r.Plan, run), Takeover: "–",
			Open: len(r.Runs) <= maxOpen || i == 0 || i == worst || run.Result != v1alpha1.FailoverPassed,
		}
		if run.TakeoverMillis != nil && run.FaultMillis != nil {
			v.Takeover = ms(*run.TakeoverMillis - *run.FaultMillis)
		}
		p.Runs = append(p.Runs, v)
	}
	p.Many = len(r.Runs) > 1
	return p
}

// worstRun is the index of the run of the longest gap.
func worstRun(runs []v1alpha1.FailoverRun) int {
	worst, longest := -1, v1alpha1.Millis(-1)
	for i, run := range runs {
		if run.GapMillis != nil && *run.GapMillis > longest {
			worst, longest = i, *run.GapMillis
		}
	}
	return worst
}

func resultMark(result v1alpha1.FailoverResult) string {
	switch result {
	case v1alpha1.FailoverPassed:
		return "✔ Passed"
	case v1alpha1.FailoverStopped, v1alpha1.FailoverInterrupted:
		return "◼ Stopped"
	}
	return "✘ Failed"
}

func verdict(r *v1alpha1.FailoverReport) string {
	s := r.Summary
	if s.Message != "" {
		return fmt.Sprintf("%d of %d runs were made, and passed. Then: %s.", s.Runs, r.Plan.Count, s.Message)
	}
	if s.Result != v1alpha1.FailoverPassed {
		for _, run := range r.Runs {
			if run.Result != v1alpha1.FailoverPassed {
				return fmt.Sprintf("Run %d did not pass (%s): %s.", run.Number, run.Result, run.Message)
			}
		}
	}
	runs := "The run"
	if s.Runs != 1 {
		runs = fmt.Sprintf("All %d runs", s.Runs)
	}
	text := runs + " passed: every address was taken over by another node, and came back."
	if s.Gap != nil {
		text += fmt.Sprintf(" No probed address was without an answer for longer than %s; %s was allowed.",
			ms(max(s.Gap.MaxMillis, s.ReturnGap.MaxMillis)), ms(r.Plan.MaxGapMillis))
	}
	return text
}

func cards(r *v1alpha1.FailoverReport) []card {
	s := r.Summary
	out := []card{{fmt.Sprintf("%d of %d", s.Passed, s.Runs), "runs passed"}}
	if s.Gap != nil {
		out = append(out, card{ms(s.Gap.MaxMillis), "longest gap"})
		if s.Runs > 1 {
			out = append(out, card{ms(s.Gap.MedianMillis), "median gap"})
		}
		out = append(out, card{ms(s.ReturnGap.MaxMillis), "longest gap on the way back"})
	}
	if s.Takeover != nil {
		out = append(out, card{ms(s.Takeover.MedianMillis), "takeover by the nodes (median)"})
	}
	if s.Sent > 0 {
		out = append(out, card{percent(s.Lost, s.Sent), fmt.Sprintf("%d of %d probes lost", s.Lost, s.Sent)})
	}
	return out
}

// ms shows a time in milliseconds, or in seconds where it is long.
func ms(m v1alpha1.Millis) string {
	d := m.Duration()
	if d >= 10*time.Second || d <= -10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// latency shows a short time to a tenth of a millisecond.
func latency(m v1alpha1.Millis) string { return fmt.Sprintf("%.1f ms", m.Duration().Seconds()*1e3) }

func optional(m *v1alpha1.Millis) string {
	if m == nil {
		return "–"
	}
	return ms(*m)
}

func percent(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

// reasons lists why probes failed, by name.
func reasons(counts map[string]int) string {
	var words []string
	for _, name := range sortedKeys(counts) {
		words = append(words, fmt.Sprintf("%s (%d)", name, counts[name]))
	}
	return strings.Join(words, ", ")
}
