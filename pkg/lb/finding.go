package lb

import (
	"fmt"
	"slices"
)

// Finding is something wrong with a user's object: what, where, and what to do next. It is not a Go error: the
// program works as it should, the object does not.
type Finding struct {
	Code Code `json:"code"`
	// Field is where it is wrong, such as "data[bind-port]"; empty when the whole object is meant.
	Field string `json:"field,omitempty"`
	// Message says what is wrong and what to do next, in one line.
	Message string `json:"message"`
}

// String returns "LB0103 data[bind-port]: message".
func (f Finding) String() string {
	if f.Field == "" {
		return fmt.Sprintf("%s %s", f.Code, f.Message)
	}
	return fmt.Sprintf("%s %s: %s", f.Code, f.Field, f.Message)
}

// TooLarge returns the finding about a load balancer that is larger than its backend takes, both in bytes.
func TooLarge(size, limit int) Finding {
	return Finding{Code: CodeTooLarge, Message: fmt.Sprintf("it would take %d KiB, and the backend takes %d KiB "+
		"in one piece; use fewer certificates, certificates with fewer names, fewer routes or ports, or several objects "+
		"with a share-key",
		(size+1023)>>10, limit>>10)}
}

// Severity says what a finding does to its object.
type Severity string

const (
	// SeverityError keeps the object from being served as written.
	SeverityError Severity = "error"
	// SeverityWarning leaves it served.
	SeverityWarning Severity = "warning"
)

// Severity returns the severity of the finding's code. An unknown code is an error.
func (f Finding) Severity() Severity {
	if d, ok := Describe(f.Code); ok {
		return d.Severity
	}
	return SeverityError
}

// HasErrors reports whether any finding is an error.
func HasErrors(fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity() == SeverityError })
}
