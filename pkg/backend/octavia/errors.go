package octavia

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
)

// trouble is a kind of failure: it says what to do next.
type trouble string

const (
	// troubleWeather passes by itself: the network, 5xx, a time limit.
	troubleWeather trouble = "weather"
	// troubleBusy means that Octavia is at work on the load balancer.
	troubleBusy trouble = "busy"
	// troubleGone means that what was asked for is not there.
	troubleGone trouble = "gone"
	// troubleLogin means that the credentials are not good, or not good any more.
	troubleLogin trouble = "login"
	// The rest stays until somebody changes something.
	troubleRefused trouble = "refused"
	troubleQuota   trouble = "quota"
	troubleDenied  trouble = "denied"
)

// failure is an error of the API, understood.
type failure struct {
	trouble trouble
	// retryAfter is what the service asked for; 0 where it did not.
	retryAfter time.Duration
	// unsent says that the service has surely not begun with what was asked for.
	unsent bool
	// taken says that it is refused since something else is there already.
	taken bool
	// aside says that it is about something beside the load balancer and what is below it.
	aside bool
	// lacking says that it is about a certificate that is not to be had.
	lacking bool
	// service is who refused it, where it is not Octavia; absent says that there is no such service.
	service string
	absent  bool
	// text is in Octavia's own words where it gave some.
	text string
	err  error
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// Unwrap is for errors.Is.
func (f *failure) Unwrap() error { return f.err }

// understand makes a failure of an error of the API.
func understand(err error) *failure {
	if known, ok := errors.AsType[*failure](err); ok {
		return known
	}
	f := &failure{trouble: troubleWeather, text: err.Error(), err: err}
	if login, ok := errors.AsType[*gophercloud.ErrUnableToReauthenticate](err); ok {
		f.trouble, f.text, f.unsent = loginTrouble(login.ErrReauth), "cannot log in: "+words(login.ErrReauth), true
		return f
	}
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		f.unanswered()
		return f
	}
	f.text = words(err)
	f.retryAfter = retryAfter(code.ResponseHeader)
	switch code.Actual {
	case http.StatusUnauthorized:
		f.trouble = troubleLogin
	case http.StatusForbidden:
		f.trouble = troubleDenied
		// Quotas and roles have the same code; only the words tell them apart.
		if strings.Contains(strings.ToLower(f.text), "quota") {
			f.trouble = troubleQuota
		}
	case http.StatusNotFound:
		f.trouble, f.unsent = absence(f.text), true
	case http.StatusConflict:
		f.trouble, f.unsent = conflict(f.text), true
		if strings.Contains(strings.ToLower(f.text), "quota") { // so says Neutron
			f.trouble = troubleQuota
		}
		f.taken = f.trouble == troubleRefused
	case http.StatusRequestTimeout:
	case http.StatusTooManyRequests, 498: // the latter is a rate limit of Swift's middleware
		f.unsent = true
	default:
		if code.Actual >= 400 && code.Actual < 500 || code.Actual == http.StatusNotImplemented {
			f.trouble = troubleRefused
		}
	}
	return f
}

// unanswered says what became of a call without an answer.
func (f *failure) unanswered() {
	if errors.Is(f.err, context.DeadlineExceeded) {
		f.text = "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](f.err); ok {
		f.unsent = op.Op == "dial"
		other := *op
		other.Source = nil // its port is another one each time
		f.text = other.Error()
	}
}

// absence tells what is not there from a way that is not: so says Neutron where no router leads from the network of a
// floating IP to that of its port.
func absence(text string) trouble {
	if strings.Contains(text, "is not reachable from subnet") {
		return troubleRefused
	}
	return troubleGone
}

// conflict tells the conflict that passes, since Octavia is at work, from those that stay, such as a port taken.
func conflict(text string) trouble {
	if strings.Contains(text, "immutable") || strings.Contains(text, "Invalid state") {
		return troubleBusy
	}
	return troubleRefused
}

func loginTrouble(err error) trouble {
	if gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) || gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
		return troubleLogin
	}
	return troubleWeather
}

// words returns what the service said, without the call around it.
func words(err error) string {
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		return err.Error()
	}
	var body struct {
		Fault       string `json:"faultstring"`
		Description string `json:"description"` // so says Barbican
		Error       struct {
			Message string `json:"message"`
		} `json:"error"`
		Neutron struct {
			Message string `json:"message"`
		} `json:"NeutronError"`
	}
	if json.Unmarshal(code.Body, &body) == nil {
		if text := cmp.Or(body.Fault, body.Error.Message, body.Neutron.Message, body.Description); text != "" {
			return text
		}
	}
	return strconv.Itoa(code.Actual) + " " + http.StatusText(code.Actual)
}

// retryAfter reads the header in its form of seconds, which is what OpenStack sends.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, time.Hour)
}

// stays reports whether trying again is of no use before something has changed.
func (f *failure) stays() bool {
	return f.trouble == troubleRefused || f.trouble == troubleQuota || f.trouble == troubleDenied
}

// finding says it to the user; only for what stays.
func (f *failure) finding() lb.Finding {
	switch {
	case f.absent:
		return lb.Finding{Code: lb.CodeBackendCannot, Message: f.text}
	case f.trouble == troubleQuota:
		return lb.Finding{Code: lb.CodeCloudQuota,
			Message: sentence(f.text) + " Delete what is not needed, or have the quota raised."}
	case f.trouble == troubleDenied:
		role := "load-balancer_member"
		if f.service == "Barbican" {
			role = "creator, for Barbican,"
		}
		return lb.Finding{Code: lb.CodeCloudDenied,
			Message: sentence(f.text) + " The controller's user needs the role " + role + " in its project."}
	default:
		who := cmp.Or(f.service, "Octavia")
		if f.aside && f.service == "" {
			who = "OpenStack"
		}
		text := who + " refuses: " + f.text
		if who == "Octavia" && strings.Contains(f.text, unreadable) {
			text = sentence(text) + " Either its user may not read it in Barbican, or the certificate is not to its liking: " +
				"many a version wants a common name in it, and a key of RSA or ECDSA."
		}
		return lb.Finding{Code: lb.CodeCloudRefused, Message: text}
	}
}

// unreadable is what Octavia says of a certificate that it can do nothing with, for whatever reason; its log says more.
const unreadable = "Could not retrieve certificate"

// sentence ends a text with a full stop.
func sentence(s string) string { return strings.TrimRight(s, ". \n") + "." }
