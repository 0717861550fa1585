package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// forced are statements that set the operating status of a load balancer and of all that it has, and the provisioning
// status of itself, as the health manager or an accident would.
func forced(id, operating, provisioning string) []string {
	ours := "='" + id + "'"
	var out []string
	for _, s := range []struct{ table, where string }{
		{"listener", "load_balancer_id" + ours}, {"pool", "load_balancer_id" + ours},
		{"member", "pool_id in (select id from pool where load_balancer_id" + ours + ")"}, {"load_balancer", "id" + ours},
	} {
		out = append(out, fmt.Sprintf("update %s set operating_status='%s' where %s", s.table, operating, s.where))
	}
	return append(out, fmt.Sprintf("update load_balancer set provisioning_status='%s',updated_at=utc_timestamp() where id%s",
		provisioning, ours))
}

// TestStatus forces each state on a load balancer, and reads it as a user does.
func TestStatus(t *testing.T) {
	const name = "status"
	want(t, name)
	got := serving(t, name)
	first := members(t, got.ID)[0]
	address, _, _ := strings.Cut(first, ":")
	down := slices.Concat(forced(got.ID, "DEGRADED", "ACTIVE"), []string{
		"update member m join pool p on m.pool_id=p.id set m.operating_status=if(m.ip_address='" + address + "','ERROR','ONLINE') " +
			"where p.load_balancer_id='" + got.ID + "'",
	})
	for _, step := range []struct {
		name        string
		statements  []string
		says, lacks []string
	}{
		{"healthy", forced(got.ID, "ONLINE", "ACTIVE"), []string{"ACTIVE/ONLINE"}, []string{"LB06", "ACTIVE/OFFLINE"}},
		{"degraded", down, []string{"LB0606", "ACTIVE/DEGRADED", first, "ACTIVE/ERROR"}, nil},
		{"error", forced(got.ID, "ONLINE", "ERROR"), []string{"LB0604", "ERROR"}, []string{"LB0606"}},
		{"stuck", forced(got.ID, "ONLINE", "PENDING_UPDATE"), []string{"LB0605", "PENDING_UPDATE"}, []string{"LB0604"}},
		{"mended", forced(got.ID, "ONLINE", "ACTIVE"), []string{"ACTIVE/ONLINE"}, []string{"LB06"}},
	} {
		for _, s := range step.statements {
			_, err := cloud.SQL(t.Context(), s)
			must(t, err)
		}
		var out string
		until(t, step.name, func() (bool, string) {
			res, err := shared.Kubectl(t.Context(), "", "lb", "status", name) // it ends with 3 where there are findings
			must(t, err)
			out = res.Stdout + res.Stderr
			missing := slices.DeleteFunc(slices.Clone(step.says), func(text string) bool { return strings.Contains(out, text) })
			present := slices.DeleteFunc(slices.Clone(step.lacks), func(text string) bool { return !strings.Contains(out, text) })
			return len(missing)+len(present) == 0, fmt.Sprintf("lacks %q, has %q:\n%s", missing, present, out)
		})
		list, err := shared.Kubectl(t.Context(), "", "lb", "status")
		must(t, err)
		t.Logf("%s:\n%s\n%s", step.name, list.Stdout, out)
	}
}
