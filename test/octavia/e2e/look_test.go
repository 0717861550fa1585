package e2e

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-lb/kubectl-lb/test/octavia"
)

func shows(t *testing.T, id string, want []string) {
	t.Helper()
	if missing := lacks(t, id, want); len(missing) > 0 {
		t.Errorf("Octavia does not show %q, but\n%s", missing, strings.Join(described(t, id), "\n"))
	}
}

func lacks(t *testing.T, id string, want []string) []string {
	t.Helper()
	have := described(t, id)
	return slices.DeleteFunc(slices.Clone(want), func(w string) bool { return slices.Contains(have, w) })
}

// described is everything that the API shows of a load balancer, a line for each field.
func described(t *testing.T, id string) (lines []string) {
	t.Helper()
	lines = fields("lb", get(t, "loadbalancers/"+id)["loadbalancer"])
	for _, l := range list(get(t, "listeners?loadbalancer_id="+id)["listeners"]) {
		lines = append(lines, fields("listener "+text(l["name"]), l)...)
		for _, p := range list(get(t, "l7policies?listener_id="+text(l["id"]))["l7policies"]) {
			position := text(p["position"])
			lines = append(lines, fields("policy "+position, p)...)
			for _, r := range list(get(t, "l7policies/"+text(p["id"])+"/rules")["rules"]) {
				lines = append(lines, strings.Join([]string{"rule", position, text(r["type"]), text(r["compare_type"]), text(r["value"])}, " "))
			}
		}
	}
	for _, p := range list(get(t, "pools?loadbalancer_id="+id)["pools"]) {
		name := text(p["name"])
		lines = append(lines, fields("pool "+name, p)...)
		for _, m := range list(get(t, "pools/"+text(p["id"])+"/members")["members"]) {
			lines = append(lines, fields("member "+name, m)...)
		}
		if monitor := text(p["healthmonitor_id"]); monitor != "null" {
			lines = append(lines, fields("monitor "+name, get(t, "healthmonitors/"+monitor)["healthmonitor"])...)
		}
	}
	return lines
}

// get is empty where there is no such thing: while a load balancer changes, a part may go between two looks. One that goes
// amid a look makes Octavia 11 answer 500, for a moment.
func get(t *testing.T, path string) map[string]any {
	t.Helper()
	var body []byte
	for tries := 0; ; tries++ {
		var err error
		body, err = user.Do(t.Context(), http.MethodGet, path, "")
		e, said := errors.AsType[*octavia.StatusError](err)
		if said && e.Status == http.StatusNotFound {
			return nil
		}
		if !said || e.Status != http.StatusInternalServerError || tries == 10 {
			must(t, err)
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	var answer map[string]any
	must(t, json.Unmarshal(body, &answer))
	return answer
}

// list are the objects of a list.
func list(v any) (out []map[string]any) {
	all, _ := v.([]any)
	for _, one := range all {
		if object, ok := one.(map[string]any); ok {
			out = append(out, object)
		}
	}
	return out
}

// fields are an object's, each with its fields after a dot where it is an object itself.
func fields(what string, v any) (lines []string) {
	object, _ := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		lines = append(lines, what+" "+name+" "+text(object[name]))
		for _, line := range fields("", object[name]) {
			lines = append(lines, what+" "+name+"."+strings.TrimPrefix(line, " "))
		}
	}
	return lines
}

// text is a value as JSON, without the quotes of a string; what is not there is null.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
