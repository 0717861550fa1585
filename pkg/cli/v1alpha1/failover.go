package v1alpha1

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/nodeconfig"
)

// KindFailoverReport is the kind of a FailoverReport.
const KindFailoverReport = "FailoverReport"

// FailoverReport is what a failover test planned, did and measured.
type FailoverReport struct {
	metav1.TypeMeta `json:",inline"`
	// Started is when the test began, and By who ran it, as the API server knows the user.
	Started metav1.Time `json:"started"`
	By      string      `json:"by,omitempty"`
	// Client and Cluster are the version of kubectl lb and the UID of the fleet's cluster.
	Client  string          `json:"client"`
	Cluster string          `json:"cluster,omitempty"`
	Plan    FailoverPlan    `json:"plan"`
	Runs    []FailoverRun   `json:"runs"`
	Summary FailoverSummary `json:"summary"`
}

// FailoverPlan is what a failover test is going to do.
type FailoverPlan struct {
	// Node is where the fault of this kind happens.
	Node string               `json:"node"`
	Kind nodeconfig.DrillKind `json:"kind"`
	// MaxGapMillis is the longest time without an answer that passes. Count is how many runs there are at most.
	MaxGapMillis Millis `json:"maxGapMillis"`
	Count        int    `json:"count"`
	// DurationMillis is when the node ends the fault by itself; HoldMillis is how long every address must have answered
	// before the test ends it.
	DurationMillis Millis `json:"durationMillis"`
	HoldMillis     Millis `json:"holdMillis"`
	// Addresses are the virtual IPs on the node, sorted: all of them move.
	Addresses []FailoverAddress `json:"addresses"`
	// Targets are what is probed; empty where only the nodes' reports count.
	Targets             []FailoverTarget `json:"targets"`
	ProbeIntervalMillis Millis           `json:"probeIntervalMillis,omitempty"`
	ProbeTimeoutMillis  Millis           `json:"probeTimeoutMillis,omitempty"`
	// Nodes are the fleet's, sorted.
	Nodes []string `json:"nodes"`
	// Warnings are what speaks against the test, or limits what it says.
	Warnings []string `json:"warnings,omitempty"`
}

// FailoverAddress is a virtual IP that moves.
type FailoverAddress struct {
	Address   netip.Addr `json:"address"`
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Group     int        `json:"group"`
	// Successor is the node that should take over; empty where none can.
	Successor string `json:"successor,omitempty"`
}

// FailoverTarget is a port that is probed.
type FailoverTarget struct {
	Address  netip.AddrPort `json:"address"`
	Protocol lb.Protocol    `json:"protocol"`
	// Host and Path are those of the HTTP request.
	Host      string `json:"host,omitempty"`
	Path      string `json:"path,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// FailoverResult says how a run went.
type FailoverResult string

// The results of a run.
const (
	// FailoverPassed: every address was taken over within the budget, and came back.
	FailoverPassed FailoverResult = "Passed"
	// FailoverGapExceeded: an address did not answer for longer than the budget; the fault was ended at once.
	FailoverGapExceeded FailoverResult = "GapExceeded"
	// FailoverNoTakeover: an address was taken over by nobody, as far as the nodes report.
	FailoverNoTakeover FailoverResult = "NoTakeover"
	// FailoverRefused: the node refused the fault, or did not take notice of it.
	FailoverRefused FailoverResult = "Refused"
	// FailoverNotRestored: the fault is over, but things are not as they were before.
	FailoverNotRestored FailoverResult = "NotRestored"
	// FailoverStopped is a result of the whole: a later run could not be done, although those before it passed.
	FailoverStopped FailoverResult = "Stopped"
	// FailoverInterrupted: the user ended it.
	FailoverInterrupted FailoverResult = "Interrupted"
)

// FailoverRun is one fault and what came of it. All times are since it was ordered.
type FailoverRun struct {
	Number  int            `json:"number"`
	ID      string         `json:"id"`
	Ordered metav1.Time    `json:"ordered"`
	Result  FailoverResult `json:"result"`
	Message string         `json:"message,omitempty"`
	// FaultMillis is when the node had the fault in place, TakeoverMillis when the last address was taken over,
	// EndedMillis when the test took the order back and RestoredMillis when all was as before. Nodes' clocks are set
	// right by when their reports arrived. A time that is not there did not come.
	FaultMillis    *Millis `json:"faultMillis,omitempty"`
	TakeoverMillis *Millis `json:"takeoverMillis,omitempty"`
	EndedMillis    *Millis `json:"endedMillis,omitempty"`
	RestoredMillis *Millis `json:"restoredMillis,omitempty"`
	// BeginMillis and EndMillis are when probing began (negative) and ended.
	BeginMillis Millis `json:"beginMillis"`
	EndMillis   Millis `json:"endMillis"`
	// GapMillis is the longest time in which a target gave no answer because of the fault, ReturnGapMillis because of the
	// way back. Not there where nothing was probed.
	GapMillis       *Millis `json:"gapMillis,omitempty"`
	ReturnGapMillis *Millis `json:"returnGapMillis,omitempty"`
	// NoiseMillis is the longest time without an answer before anything was done. Gaps of that size say nothing.
	NoiseMillis *Millis `json:"noiseMillis,omitempty"`
	// Sent and Lost count probes.
	Sent int `json:"sent"`
	Lost int `json:"lost"`
	// Moves are who took over what, sorted by address.
	Moves   []FailoverMove  `json:"moves"`
	Targets []FailoverProbe `json:"targets,omitempty"`
	// Owners are how many of the addresses each node had, and when; sorted by node and time.
	Owners []FailoverOwner `json:"owners,omitempty"`
}

// FailoverMove is an address and the node that took it over.
type FailoverMove struct {
	Address netip.Addr `json:"address"`
	// To is empty where no node reported the address.
	To string `json:"to,omitempty"`
	// AfterMillis is the time from the fault to the takeover, as the nodes report it.
	AfterMillis *Millis `json:"afterMillis,omitempty"`
}

// FailoverProbe is what the probes of one target saw in one run.
type FailoverProbe struct {
	Address         netip.AddrPort `json:"address"`
	Sent            int            `json:"sent"`
	Lost            int            `json:"lost"`
	GapMillis       Millis         `json:"gapMillis"`
	ReturnGapMillis Millis         `json:"returnGapMillis"`
	// MedianMillis is the median latency of the answers.
	MedianMillis Millis `json:"medianMillis"`
	// Silences are the times without an answer, and LostAt when probes that failed began: of many, the few hundred longest
	// silences and the first few hundred losses.
	Silences []FailoverSilence `json:"silences,omitempty"`
	LostAt   []Millis          `json:"lostAtMillis,omitempty"`
	// Reasons count the failures by kind.
	Reasons map[string]int `json:"reasons,omitempty"`
}

// FailoverSpan is a stretch of time.
type FailoverSpan struct {
	FromMillis Millis `json:"fromMillis"`
	ToMillis   Millis `json:"toMillis"`
}

// FailoverSilence is a time without an answer.
type FailoverSilence struct {
	FailoverSpan `json:",inline"`
	// Late says that no probe of that time failed: the answers came, only later, as they do where a network or machine is
	// busy.
	Late bool `json:"late,omitempty"`
}

// FailoverOwner is a stretch of time in which a node had some of the addresses.
type FailoverOwner struct {
	Node         string `json:"node"`
	FailoverSpan `json:",inline"`
	Addresses    int `json:"addresses"`
}

// FailoverSummary is what the runs say together.
type FailoverSummary struct {
	Result FailoverResult `json:"result"`
	Runs   int            `json:"runs"`
	Passed int            `json:"passed"`
	// Message is why there are fewer runs than planned although all of them passed.
	Message string `json:"message,omitempty"`
	Sent    int    `json:"sent"`
	Lost    int    `json:"lost"`
	// The statistics are over the runs that have the figure; nil where none has.
	Gap       *Statistics `json:"gap,omitempty"`
	ReturnGap *Statistics `json:"returnGap,omitempty"`
	Takeover  *Statistics `json:"takeover,omitempty"`
}

// Statistics are over N values; percentiles are by nearest rank.
type Statistics struct {
	N            int    `json:"n"`
	MinMillis    Millis `json:"minMillis"`
	MedianMillis Millis `json:"medianMillis"`
	P95Millis    Millis `json:"p95Millis"`
	MaxMillis    Millis `json:"maxMillis"`
}

// Millis is a duration that JSON shows in milliseconds, to the microsecond.
type Millis time.Duration

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Round(float64(m)/1e3)/1e3, 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(string(b), 64)
	*m = Millis(math.Round(v * 1e6))
	return err
}

// Duration is the same as the standard library's type.
func (m Millis) Duration() time.Duration { return time.Duration(m) }

// DeepCopyObject implements runtime.Object. The printers only read, so the slices below the runs stay shared.
func (r *FailoverReport) DeepCopyObject() runtime.Object {
	c := *r
	c.Runs = slices.Clone(r.Runs)
	return &c
}
