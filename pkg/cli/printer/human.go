package printer

import (
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// None, Pending, Unknown and Unset stand for values that are not there, as in kubectl.
const (
	None    = "<none>"
	Pending = "<pending>"
	Unknown = "<unknown>"
	Unset   = "<unset>"
)

// Or returns s, or what stands for it when it is empty.
func Or(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}

// Age returns the time from then to now in kubectl's short form, such as "3d4h".
func Age(then, now time.Time) string {
	if then.IsZero() {
		return Unknown
	}
	return duration.HumanDuration(now.Sub(then))
}
