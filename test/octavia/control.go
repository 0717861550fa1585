package octavia

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// controlPath is where a gate that others use is told what to break: a POST of a [Fault] adds it, a DELETE mends all.
const controlPath = "/gate/faults"

// control serves controlPath.
func (g *Gate) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		var f Fault
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.Break(f)
	case http.MethodDelete:
		g.Mend()
	default:
		http.Error(w, "POST a fault, or DELETE them all", http.StatusMethodNotAllowed)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// BreakAt adds a fault to the gate at the address, of whatever process.
func BreakAt(ctx context.Context, address string, f Fault) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return tell(ctx, http.MethodPost, address, body)
}

// MendAt removes all faults from the gate at the address.
func MendAt(ctx context.Context, address string) error {
	return tell(ctx, http.MethodDelete, address, nil)
}

func tell(ctx context.Context, method, address string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+controlPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("gate at %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body) // the status says enough
		return fmt.Errorf("gate at %s: %s: %s", address, resp.Status, text)
	}
	return nil
}
