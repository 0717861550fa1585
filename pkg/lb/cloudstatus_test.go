package lb

import (
	"testing"
	"time"
)

func status(operating string, members ...CloudMember) CloudStatus {
	return CloudStatus{ID: "a", Operating: operating, Listeners: []CloudListener{
		{Name: "tcp-80", Pools: []CloudPool{{Name: "tcp-80", Members: members}}},
		{Name: "tcp-81", Pools: []CloudPool{{Name: "tcp-80", Members: members}}},
	}}
}

// Since when a thing is as it is stays as long as it is so.
func TestContinue(t *testing.T) {
	then, now := time.Unix(100, 0).UTC(), time.Unix(200, 0)
	earlier := status("ONLINE", CloudMember{Address: "a:1", Operating: "ONLINE", Since: then},
		CloudMember{Address: "b:1", Operating: "ONLINE", Since: then})
	earlier.Since = then
	s := status("DEGRADED", CloudMember{Address: "a:1", Operating: "ONLINE"}, CloudMember{Address: "b:1", Operating: "ERROR"})
	s.Continue(earlier, now)
	m := s.Listeners[0].Pools[0].Members
	if !s.Since.Equal(now) || !m[0].Since.Equal(then) || !m[1].Since.Equal(now) {
		t.Errorf("%+v", s)
	}
	if f := s.Failing(); len(f) != 1 || f[0].Address != "b:1" {
		t.Errorf("failing %+v", f)
	}
	s.ID = "another"
	s.Continue(earlier, now)
	if m := s.Listeners[0].Pools[0].Members; !m[0].Since.Equal(now) {
		t.Errorf("another load balancer has the past of this one: %+v", m)
	}
}
