package configmap

import (
	"fmt"
	"strings"
	"testing"
)

//go:generate go test -run TestDocument -update .

// TestDocument holds docs/configmap.md to the table of keys.
func TestDocument(t *testing.T) { golden(t, "../../../docs/configmap.md", document()) }

// document writes the documentation of the keys.
func document() string {
	var b strings.Builder
	b.WriteString(`<!-- Written by "go generate ./pkg/source/configmap" from the table of keys in the code. -->
# The ConfigMap

A ConfigMap with the label ` + "`" + LabelKey + ": " + LabelValue + "`" + ` asks for a load balancer in front of a
Service. Every value is a string: quote numbers and booleans. A key without a value, or with an empty one, has its
default.

` + "```yaml" + `
apiVersion: v1
kind: ConfigMap
metadata:
  name: coffee
  labels:
    ` + LabelKey + ": " + LabelValue + `
data:
  ` + KeyService + `: coffee-svc
  ` + KeyBindPort + `: "80"
` + "```" + `

## Keys you write

| key | takes | default | since |
|---|---|---|---|
`)
	rows(&b, false)
	b.WriteString("\n## Keys the controller writes\n\n| key | takes | since |\n|---|---|---|\n")
	rows(&b, true)
	fmt.Fprintf(&b, `
## What is refused

Whatever is wrong with an object becomes a numbered finding ([findings.md](findings.md)) in its `+"`status`"+` key and
an Event; the last good version goes on serving, and no other load balancer is touched. All findings are shown at once.

- An unknown key is an error; the message names the nearest one.
- A value with control or invisible characters, that is not UTF-8, or longer than %d bytes is refused unread.
- A path is compared with the request's path after that is decoded and cleaned of empty, "." and ".." segments, so
  escapes such as %%20 and such segments are refused.
`, maxValue)
	return b.String()
}

// rows writes a line for each key, and what it means below its name.
func rows(b *strings.Builder, written bool) {
	for _, k := range Keys() {
		if k.Written != written {
			continue
		}
		fmt.Fprintf(b, "| **`%s`**<br>%s | %s |", k.Name, k.Meaning, k.Takes)
		if !written {
			fmt.Fprintf(b, " %s |", k.Default)
		}
		fmt.Fprintf(b, " %s |\n", k.Since)
	}
}

// Every key says everything about itself, and no two are mistaken for each other.
func TestKeys(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Keys() {
		if k.Takes == "" || k.Meaning == "" || k.Since == "" || k.read == nil || k.Written != (k.Default == "") {
			t.Errorf("incomplete: %+v", k)
		}
		if strings.ContainsAny(k.Takes+k.Default+k.Meaning, "|\n") {
			t.Errorf("%s does not fit a table's cell", k.Name)
		}
		if other, twice := seen[plain(k.Name)]; twice {
			t.Errorf("%s and %s are mistaken for each other", k.Name, other)
		}
		seen[plain(k.Name)] = k.Name
	}
}
