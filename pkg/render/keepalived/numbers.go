package keepalived

import (
	"strconv"
	"strings"
)

// Numbers reads the virtual router identifier of each instance, by its name, out of a configuration that [Render] has
// made.
func Numbers(config []byte) map[string]int {
	out := map[string]int{}
	name := ""
	for line := range strings.Lines(string(config)) {
		switch words := strings.Fields(line); {
		case len(words) < 2:
		case words[0] == "vrrp_instance":
			name = words[1]
		case words[0] == "virtual_router_id" && name != "":
			if n, err := strconv.Atoi(words[1]); err == nil {
				out[name] = n
			}
		}
	}
	return out
}
