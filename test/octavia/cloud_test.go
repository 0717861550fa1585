package octavia_test

import (
	"strings"
	"testing"
)

// TestSQL also shows that the tables are there.
func TestSQL(t *testing.T) {
	out, err := cloud.SQL(t.Context(), "select name from provisioning_status order by name")
	if err != nil || !strings.Contains(out, "PENDING_CREATE\n") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := cloud.SQL(t.Context(), "select nonsense"); err == nil {
		t.Errorf("nonsense is answered with %q", out)
	}
}
