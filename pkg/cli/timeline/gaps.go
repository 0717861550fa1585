package timeline

import (
	"fmt"
	"strconv"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

const (
	gapTop    = 18.0
	gapHeight = 130.0
	gapLeft   = 58.0
)

// gapChart shows the gap of every run beside the budget.
type gapChart struct {
	Width, Height, Left, Right, Base, Mid string
	Bars                                  []bar
	Budget, BudgetText                    string
	BudgetLabel                           string
	Levels                                []level
}

type level struct{ Y, TextY, Label string }

func newGapChart(r *v1alpha1.FailoverReport) *gapChart {
	top := r.Plan.MaxGapMillis
	for _, run := range r.Runs {
		if run.GapMillis != nil {
			top = max(top, *run.GapMillis)
		}
	}
	top += top / 8
	y := func(m v1alpha1.Millis) float64 { return gapTop + gapHeight*(1-float64(m)/float64(max(top, 1))) }
	c := &gapChart{
		Width: num(chartWidth), Height: num(gapTop + gapHeight + 24), Left: num(gapLeft),
		Right: num(chartWidth - rightMargin), Base: num(gapTop + gapHeight), Mid: num((gapLeft + chartWidth) / 2),
		Budget: num(y(r.Plan.MaxGapMillis)), BudgetText: num(y(r.Plan.MaxGapMillis) - 5),
		BudgetLabel: "allowed: " + ms(r.Plan.MaxGapMillis),
	}
	for _, part := range []v1alpha1.Millis{0, r.Plan.MaxGapMillis / 2, r.Plan.MaxGapMillis} {
		c.Levels = append(c.Levels, level{num(y(part)), num(y(part) + 4), ms(part)})
	}
	slot := (chartWidth - rightMargin - gapLeft) / float64(len(r.Runs))
	for i, run := range r.Runs {
		if run.GapMillis == nil {
			continue
		}
		class := "gap"
		if run.Result != v1alpha1.FailoverPassed {
			class = "silent"
		}
		width := min(slot*0.7, 46)
		x := gapLeft + slot*float64(i) + (slot-width)/2
		height := max(gapTop+gapHeight-y(*run.GapMillis), thinnest)
		b := bar{
			X: num(x), Y: num(gapTop + gapHeight - height), Width: num(width), Height: num(height), Class: class,
			LabelX: num(x + width/2), LabelY: num(gapTop + gapHeight + 16),
			Full: fmt.Sprintf("run %d: %s", run.Number, ms(*run.GapMillis)),
		}
		if slot >= 22 || i == 0 || (i+1)%10 == 0 {
			b.Label = strconv.Itoa(run.Number)
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}
