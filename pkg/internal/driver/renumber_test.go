package driver

import (
	"fmt"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/internal/generation"
	"github.com/kubectl-lb/kubectl-lb/pkg/render"
	"github.com/kubectl-lb/kubectl-lb/pkg/render/keepalived"
)

func TestRenumbers(t *testing.T) {
	k := Keepalived{Store: generation.Store{Dir: t.TempDir()}}
	write := func(numbers ...int) string {
		t.Helper()
		text, id := "", "g"
		for i, n := range numbers {
			if n > 0 {
				text += fmt.Sprintf("vrrp_instance i%d {\n    virtual_router_id %d\n}\n", i, n)
			}
			id += fmt.Sprintf("%d", n)
		}
		if _, err := k.Store.Write(id, render.Files{{Path: keepalived.ConfigName, Data: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	if k.Renumbers(write(51)) {
		t.Error("nothing ran before")
	}
	if err := k.Store.Switch(write(51, 52)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		numbers []int
		want    bool
	}{
		{[]int{51, 52}, false}, {[]int{51}, false}, {[]int{51, 52, 53}, false}, {nil, false},
		{[]int{52, 53}, true}, {[]int{51, 99}, true}, {[]int{0, 51}, true},
	} {
		if got := k.Renumbers(write(c.numbers...)); got != c.want {
			t.Errorf("from 51, 52 to %v: %t", c.numbers, got)
		}
	}
	if k.Renumbers("absent") {
		t.Error("of no generation")
	}
}
