package main

import (
	"testing"
	"time"
)

const printed = `Running 1s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.57ms    0.85ms  21.13ms   92.98%
    Req/Sec    20.82k     2.31k   25.08k    70.00%
  Latency Distribution
     50%    1.43ms
     75%    1.78ms
     90%    2.26ms
     99%    4.58ms
  20723 requests in 1.00s, 25.06MB read
Requests/sec:  20695.90
Transfer/sec:     25.03MB
`

func TestParseWrk(t *testing.T) {
	got, err := parseWrk(printed)
	if err != nil || got != (load{20695.90, 4580 * time.Microsecond}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "  Socket errors: connect 0, read 1, write 0, timeout 0\n" + printed, printed + "  Non-2xx or 3xx responses: 5\n",
	} {
		if l, err := parseWrk(bad); err == nil {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestDistribution(t *testing.T) {
	ds := []time.Duration{5e6, 1e6, 2e6, 4e6, 3e6}
	if got := distribution(ds); got != "median 3 ms, p95 5 ms, max 5 ms (5 trials)" {
		t.Error(got)
	}
}
