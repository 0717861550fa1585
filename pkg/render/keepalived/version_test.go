package keepalived_test

import (
	"os/exec"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]keepalived.Version{
		"2.2.7": {Major: 2, Minor: 2, Patch: 7},
		"Keepalived v2.2.7 (01/16,2022)\n\nCopyright(C) 2001-2022 Alexandre Cassen": {Major: 2, Minor: 2, Patch: 7},
		"Keepalived v2.4.3 (07/20,2026), git commit v2.4.2-12-gabc\n":               {Major: 2, Minor: 4, Patch: 3},
	} {
		if got, err := keepalived.ParseVersion(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "keepalived", "2.2", "v2.2.x", "2.-1.0", "no such command\n2.2.7"} {
		if got, err := keepalived.ParseVersion(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestVersion(t *testing.T) {
	v := keepalived.Version{Major: 2, Minor: 3, Patch: 2}
	later := keepalived.Version{Major: 2, Minor: 10}
	if v.Compare(keepalived.Oldest()) <= 0 || v.Compare(later) >= 0 {
		t.Error("2.3.2 is not between 2.2.7 and 2.10.0")
	}
	if v.String() != "2.3.2" {
		t.Error(v)
	}
}

// TestInstalledVersion reads what the real program prints.
func TestInstalledVersion(t *testing.T) {
	out, err := exec.Command("keepalived", "--version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	v, err := keepalived.ParseVersion(string(out))
	if err != nil || v.Compare(keepalived.Oldest()) < 0 {
		t.Errorf("installed is %v, %v", v, err)
	}
}
