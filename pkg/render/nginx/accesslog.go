package nginx

import (
	"strings"

	"github.com/kubectl-lb/kubectl-lb/pkg/lb"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
)

// logFile is nginx's own standard output, by a name that nginx can open: whoever started it collects the lines.
const logFile = "/proc/self/fd/1"

// logName names the format of a listener's access log.
func logName(k lb.Key, s lb.Listener) string { return listenerName(k, s) + "_log" }

// logFormat adds the format of a listener's access log: a JSON object in each line. Numbers are those that nginx always
// has; what may be missing is a string.
func logFormat(t *render.Text, k lb.Key, s lb.Listener) {
	fields := [][2]string{
		{"time", `"$time_iso8601"`}, {"loadBalancer", `"` + k.String() + `"`}, {"client", `"$remote_addr"`},
		{"port", "$server_port"}, {"protocol", `"` + spoken(s) + `"`}, {"status", "$status"},
		{"upstream", `"$upstream_addr"`}, {"bytesSent", "$bytes_sent"},
	}
	if s.Protocol == lb.HTTP {
		fields = append(fields, [][2]string{
			{"bytesReceived", "$request_length"}, {"duration", "$request_time"}, {"requestId", `"$lb_request_id"`},
			{"method", `"$request_method"`}, {"host", `"$host"`}, {"uri", `"$request_uri"`},
			{"version", `"$server_protocol"`}, {"userAgent", `"$http_user_agent"`}, {"referer", `"$http_referer"`},
			{"upstreamStatus", `"$upstream_status"`}, {"upstreamDuration", `"$upstream_response_time"`},
		}...)
	} else {
		fields = append(fields, [2]string{"bytesReceived", "$bytes_received"}, [2]string{"duration", "$session_time"})
	}
	if s.TLS != nil {
		fields = append(fields, [2]string{"tls", `"$ssl_protocol"`}, [2]string{"serverName", `"$ssl_server_name"`})
	}
	if s.Protocol == lb.Passthrough {
		fields = append(fields, [2]string{"host", `"$ssl_preread_server_name"`})
	}
	var parts []string
	for _, f := range fields {
		parts = append(parts, `"`+f[0]+`":`+f[1])
	}
	t.Line("log_format", logName(k, s), "escape=json", "'{"+strings.Join(parts, ",")+"}';")
}

// spoken returns what clients speak, as the users call it.
func spoken(s lb.Listener) string {
	switch {
	case s.TLS == nil:
		return string(s.Protocol)
	case s.Protocol == lb.HTTP:
		return "HTTPS"
	default:
		return "TLS"
	}
}
