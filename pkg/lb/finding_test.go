package lb

import (
	"encoding/json"
	"testing"
)

func TestFindingString(t *testing.T) {
	for want, f := range map[string]Finding{
		"LB0103 data[bind-port]: no port": {Code: CodeBadPort, Field: "data[bind-port]", Message: "no port"},
		"LB0402 no node":                  {Code: CodeNoNodes, Message: "no node"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSeverity(t *testing.T) {
	warning, failure, unknown := Finding{Code: CodeAddressStray}, Finding{Code: CodeBadPort}, Finding{Code: "LB9999"}
	for _, tc := range []struct {
		findings []Finding
		want     bool
	}{
		{nil, false},
		{[]Finding{warning}, false},
		{[]Finding{warning, failure}, true},
		{[]Finding{failure}, true},
		{[]Finding{unknown}, true},
	} {
		if got := HasErrors(tc.findings); got != tc.want {
			t.Errorf("HasErrors(%v) = %v", tc.findings, got)
		}
		if got := (Wish{Findings: tc.findings}).Failed(); got != tc.want {
			t.Errorf("a wish with %v: failed %v", tc.findings, got)
		}
	}
}

func TestFindingJSON(t *testing.T) {
	f := Finding{Code: CodeNoNodes, Message: "m"}
	b, err := json.Marshal(f)
	if err != nil || string(b) != `{"code":"LB0402","message":"m"}` {
		t.Errorf("%s, %v", b, err)
	}
	var got Finding
	if err := json.Unmarshal(b, &got); err != nil || got != f {
		t.Errorf("%+v, %v", got, err)
	}
}
