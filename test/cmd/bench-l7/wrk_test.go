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
	if err != nil || got != (load{requests: 20723, rate: 20695.90, p99: 4580 * time.Microsecond}) {
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

const logged = `time=2026-11-23T10:00:00.050Z level=INFO msg="a generation runs" generation=1 fleet=1 ` +
	`loadBalancers=9 took.render=1ms took.check=2ms took.nginx=3ms took.keepalived=0s took.all=50ms
time=2026-11-23T10:00:01.300Z level=INFO msg="something else"
time=2026-11-23T10:00:01.400Z level=INFO msg="a generation runs" generation=2 fleet=1 loadBalancers=9 ` +
	`took.render=10ms took.check=20ms took.nginx=30ms took.keepalived=0s took.all=300ms
`

func TestStages(t *testing.T) {
	runs, err := parseTaken(logged)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%+v, %v", runs, err)
	}
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 23, 10, 0, 1, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
	}
	trials := []trial{{begun: at(0), seen: at(200)}}
	got, err := stagesOf(trials, &arrivals{times: []time.Time{at(-5), at(80), at(150)}}, runs)
	want := "controller 80 ms, to the daemon 20 ms, render 10 ms, nginx -t 20 ms, reload 30 ms, first answer 40 ms"
	if err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := stagesOf(trials, &arrivals{}, runs); err == nil {
		t.Errorf("without a document: %q", got)
	}
}
