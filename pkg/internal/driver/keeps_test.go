package driver

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/render/nginx"
)

// TestKeeps: a connection that waits for a moment is not kept.
func TestKeeps(t *testing.T) {
	for _, tt := range []struct {
		answers []string
		keeps   bool
		fails   bool
	}{
		{[]string{"0"}, false, false},
		{[]string{"1", "2", "1"}, true, false},
		{[]string{"1", "0"}, false, false},
		{[]string{"3", "1", "0"}, false, false},
		{[]string{"1", "abc"}, false, true},
	} {
		n := &Nginx{RunDir: t.TempDir()}
		listener, err := net.Listen("unix", filepath.Join(n.RunDir, nginx.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == nginx.WaitingPath && asked < len(tt.answers) {
				fmt.Fprint(w, tt.answers[asked])
			}
			asked++
		})}
		go func() { _ = server.Serve(listener) }()
		keeps, err := n.Keeps(t.Context())
		server.Close()
		if keeps != tt.keeps || (err != nil) != tt.fails || asked != len(tt.answers) {
			t.Errorf("%q: keeps %v, %v, asked %d times", tt.answers, keeps, err, asked)
		}
	}
}
