package timeline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/kubectl-lb/kubectl-lb/pkg/cli/v1alpha1"
)

// The geometry of a chart, in the units of its view box.
const (
	chartWidth  = 960.0
	labelWidth  = 178.0
	rightMargin = 14.0
	laneHeight  = 24.0
	barHeight   = 14.0
	// headHeight is room for the names of the moments, in rows of rowHeight.
	headHeight = headRows*rowHeight + 6
	headRows   = 3
	rowHeight  = 15.0
	axisHeight = 30.0
	// thinnest is the width below which a bar could not be seen.
	thinnest = 1.6
	// labelled is the width from which a bar has room for a figure inside.
	labelled = 44.0
	maxLabel = 27
)

// chart is a timeline of one run.
type chart struct {
	Title         string
	Width, Height string
	// Left and Right bound the lanes.
	Left, Right string
	Top, Axis   string
	Ticks       []tick
	Marks       []mark
	Lanes       []lane
	Heads       []heading
}

type tick struct{ X, Label, Anchor string }

// mark is a moment.
type mark struct{ X, TextX, Y, Anchor, Label, Class, Top, Bottom string }

type heading struct{ Y, Label string }

// lane is what happened to one target, or on one node.
type lane struct {
	Label, Full string
	Y, TextY    string
	Bars        []bar
	// Lost are the places of probes that failed.
	Lost []string
	LostY1,
	LostY2 string
}

// bar is a stretch of time in a lane. Label is drawn where there is room for it; Full is the tooltip.
type bar struct{ X, Y, Width, Height, Class, Label, LabelX, LabelY, Full string }

// scale turns times into places.
type scale struct{ from, to v1alpha1.Millis }

func (s scale) x(at v1alpha1.Millis) float64 {
	at = max(s.from, min(s.to, at))
	span := float64(max(s.to-s.from, 1))
	return labelWidth + float64(at-s.from)/span*(chartWidth-labelWidth-rightMargin)
}

func (s scale) has(at v1alpha1.Millis) bool { return at >= s.from && at <= s.to }

// wholeChart shows a run from the first probe to the last.
func wholeChart(plan v1alpha1.FailoverPlan, run v1alpha1.FailoverRun) chart {
	return newChart(plan, run, scale{run.BeginMillis, max(run.EndMillis, run.BeginMillis+1)}, "The whole run")
}

// closeUp shows the moments around the takeover. There is none where no fault was seen.
func closeUp(plan v1alpha1.FailoverPlan, run v1alpha1.FailoverRun) *chart {
	if run.FaultMillis == nil {
		return nil
	}
	begin, end := *run.FaultMillis, *run.FaultMillis
	if run.TakeoverMillis != nil {
		end = max(end, *run.TakeoverMillis)
	}
	const after = v1alpha1.Millis(100 * time.Millisecond)
	for _, t := range run.Targets {
		for _, s := range t.Silences {
			// A gap in the network may outlast the takeover; what begins later is another story.
			if s.ToMillis >= begin && s.FromMillis <= end+after {
				begin, end = min(begin, s.FromMillis), max(end, s.ToMillis)
			}
		}
	}
	margin := max((end-begin)/4, v1alpha1.Millis(50*time.Millisecond))
	s := scale{max(run.BeginMillis, begin-margin), min(run.EndMillis, end+margin)}
	if s.to <= s.from {
		return nil
	}
	c := newChart(plan, run, s, "The takeover, close up")
	return &c
}

func newChart(plan v1alpha1.FailoverPlan, run v1alpha1.FailoverRun, s scale, title string) chart {
	c := chart{Title: title, Width: num(chartWidth), Top: num(headHeight - 2),
		Left: num(labelWidth), Right: num(chartWidth - rightMargin)}
	y := headHeight
	if len(run.Targets) > 0 {
		c.Heads = append(c.Heads, heading{num(y + 12), "answers"})
		y += 18
	}
	for _, t := range run.Targets {
		c.Lanes = append(c.Lanes, targetLane(t, run, s, y))
		y += laneHeight
	}
	c.Heads = append(c.Heads, heading{num(y + 14), fmt.Sprintf("addresses held, of %d", len(plan.Addresses))})
	y += 20
	for _, n := range plan.Nodes {
		c.Lanes = append(c.Lanes, ownerLane(n, plan, run, s, y))
		y += laneHeight
	}
	c.Marks = marks(run, s, y)
	c.Axis = num(y)
	c.Ticks = ticks(s)
	c.Height = num(y + axisHeight)
	return c
}

// targetLane shows when a target answered and when it did not.
func targetLane(t v1alpha1.FailoverProbe, run v1alpha1.FailoverRun, s scale, y float64) lane {
	l := newLane(t.Address.String(), y)
	l.Bars = append(l.Bars, newBar(s, run.BeginMillis, run.EndMillis, y, "ok", ""))
	l.Bars[0].Full = fmt.Sprintf("%s: %d of %d probes answered", t.Address, t.Sent-t.Lost, t.Sent)
	for _, silence := range t.Silences {
		if silence.ToMillis < s.from || silence.FromMillis > s.to {
			continue
		}
		length := ms(silence.ToMillis - silence.FromMillis)
		class, words := "silent", "no answer for"
		if silence.Late {
			class, words = "late", "answers late by"
		}
		b := newBar(s, silence.FromMillis, silence.ToMillis, y, class, length)
		b.Full = fmt.Sprintf("%s: %s %s", t.Address, words, length)
		l.Bars = append(l.Bars, b)
	}
	for _, at := range t.LostAt {
		if s.has(at) {
			l.Lost = append(l.Lost, num(s.x(at)))
		}
	}
	l.Lost = slices.Compact(l.Lost)
	return l
}

// ownerLane shows when a node had addresses.
func ownerLane(node string, plan v1alpha1.FailoverPlan, run v1alpha1.FailoverRun, s scale, y float64) lane {
	l := newLane(node, y)
	for _, o := range run.Owners {
		if o.Node != node || o.ToMillis < s.from || o.FromMillis > s.to {
			continue
		}
		class := "other"
		if node == plan.Node {
			class = "owner"
		}
		b := newBar(s, o.FromMillis, o.ToMillis, y, class, strconv.Itoa(o.Addresses))
		b.Full = fmt.Sprintf("%s: %d addresses", node, o.Addresses)
		l.Bars = append(l.Bars, b)
	}
	return l
}

func newLane(label string, y float64) lane {
	return lane{
		Label: shorten(label), Full: label, Y: num(y + laneHeight/2), TextY: num(y + laneHeight/2 + 4),
		LostY1: num(y + 1), LostY2: num(y + 5),
	}
}

func newBar(s scale, from, to v1alpha1.Millis, y float64, class, label string) bar {
	x := s.x(from)
	width := max(s.x(to)-x, thinnest)
	b := bar{
		X: num(x), Y: num(y + (laneHeight-barHeight)/2), Width: num(width), Height: num(barHeight), Class: class,
		LabelX: num(x + width/2), LabelY: num(y + laneHeight/2 + 4),
	}
	if width >= labelled || width >= 16 && len(label) < 3 {
		b.Label = label
	}
	return b
}

// marks are the moments of a run. Each is named in the first row in which its name meets no other; the last row takes
// the rest.
func marks(run v1alpha1.FailoverRun, s scale, bottom float64) []mark {
	zero := v1alpha1.Millis(0)
	var out []mark
	var ends [headRows]float64
	for _, m := range []struct {
		at           *v1alpha1.Millis
		label, class string
	}{
		{&zero, "ordered", "m-order"}, {run.FaultMillis, "fault", "m-fault"},
		{run.TakeoverMillis, "taken over", "m-taken"}, {run.EndedMillis, "fault ended", "m-end"},
		{run.RestoredMillis, "restored", "m-back"},
	} {
		if m.at == nil || !s.has(*m.at) {
			continue
		}
		x := s.x(*m.at)
		label := m.label
		if *m.at != 0 {
			label += " +" + ms(*m.at)
		}
		width := 6.4*float64(len(label)) + 8
		k := mark{X: num(x), TextX: num(x + 4), Anchor: "start", Label: label, Class: m.class, Bottom: num(bottom)}
		begin := x
		if x+width > chartWidth {
			begin, k.TextX, k.Anchor = x-width, num(x-4), "end"
		}
		row := max(0, slices.IndexFunc(ends[:], func(end float64) bool { return begin >= end }))
		if begin < ends[row] {
			row = headRows - 1
		}
		ends[row] = begin + width
		k.Y, k.Top = num(12+rowHeight*float64(row)), num(3+rowHeight*float64(row))
		out = append(out, k)
	}
	return out
}

// ticks divide the axis at round times.
func ticks(s scale) []tick {
	span := (s.to - s.from).Duration()
	step := 10 * time.Millisecond
	for i := 0; span/step > 10; i++ { // 10 ms, 20, 50, 100 and so on
		if i%3 == 1 {
			step = step * 5 / 2
		} else {
			step *= 2
		}
	}
	var out []tick
	first := s.from.Duration().Truncate(step)
	for at := first; at <= s.to.Duration(); at += step {
		if m := v1alpha1.Millis(at); s.has(m) {
			out = append(out, tick{X: num(s.x(m)), Label: tickLabel(at, step), Anchor: "middle"})
		}
	}
	return out
}

func tickLabel(at, step time.Duration) string {
	if step < time.Second {
		return fmt.Sprintf("%d ms", at.Milliseconds())
	}
	return fmt.Sprintf("%.0f s", at.Seconds())
}

func shorten(s string) string {
	if r := []rune(s); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return s
}

// num writes a place to a tenth.
func num(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
