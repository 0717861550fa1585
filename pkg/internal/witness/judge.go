package witness

import "time"

// State is what is known of the witness.
type State string

// The states; see the package comment.
const (
	Nobody   State = "Nobody"
	Unproven State = "Unproven"
	There    State = "There"
	Lost     State = "Lost"
)

const (
	// patience is how many questions in a row may go unanswered. They are counted, not timed: a program that was not
	// scheduled for a while has not asked.
	patience = 4
	// confidence is how long every question must have been answered by a witness that was lost.
	confidence = 500 * time.Millisecond
)

// newJudge returns a judge of a witness of which that is known.
func newJudge(known State) judge {
	j := judge{proven: known == There || known == Lost}
	if known == Lost {
		j.state = Lost
	}
	return j
}

// judge makes a state of answers. The zero value is one of an unproven witness.
type judge struct {
	// proven witnesses have answered once, to this program or one before it.
	proven bool
	state  State
	silent int
	// since is when the questions that were answered without exception began.
	since time.Time
}

// nobody notes that there was nobody to ask. A witness that was lost stays so: the route to it may have gone for the
// same reason.
func (j *judge) nobody() State {
	if j.state == Lost {
		j.since = time.Time{}
		return Lost
	}
	*j = judge{proven: j.proven, state: Nobody}
	return j.state
}

// hear notes whether a question was answered.
func (j *judge) hear(now time.Time, answered bool) State {
	if answered {
		j.proven, j.silent = true, 0
		if j.since.IsZero() {
			j.since = now
		}
		if j.state != Lost || now.Sub(j.since) >= confidence {
			j.state = There
		}
		return j.state
	}
	j.silent, j.since = j.silent+1, time.Time{}
	switch {
	case !j.proven:
		j.state = Unproven
	case j.silent >= patience:
		j.state = Lost
	case j.state != Lost:
		j.state = There
	}
	return j.state
}
