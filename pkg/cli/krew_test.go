package cli

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// krewManifest is what krew reads (krew's internal/index/validation says what it insists on).
type krewManifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string `json:"version"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Homepage         string `json:"homepage"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string `json:"uri"`
			SHA256 string `json:"sha256"`
			Bin    string `json:"bin"`
		} `json:"platforms"`
	} `json:"spec"`
}

func TestKrewManifest(t *testing.T) {
	text, err := os.ReadFile("../../krew/lb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m krewManifest
	if err := yaml.UnmarshalStrict(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" || m.Metadata.Name != "lb" {
		t.Errorf("%s %s %s", m.APIVersion, m.Kind, m.Metadata.Name)
	}
	s := m.Spec
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(s.Version) {
		t.Errorf("version %q", s.Version)
	}
	if n := len(s.ShortDescription); n == 0 || n > 50 || strings.Contains(s.ShortDescription, "\n") {
		t.Errorf("short description of %d characters", n)
	}
	for line := range strings.SplitSeq(s.Description+s.Caveats, "\n") {
		if len(line) > 80 {
			t.Errorf("wider than 80: %q", line)
		}
	}
	seen := map[string]bool{}
	for _, p := range s.Platforms {
		platform := p.Selector.MatchLabels["os"] + "/" + p.Selector.MatchLabels["arch"]
		if seen[platform] || len(p.Selector.MatchLabels) != 2 {
			t.Errorf("%s overlaps", platform)
		}
		seen[platform] = true
		bin := "kubectl-lb"
		if strings.HasPrefix(platform, "windows") {
			bin += ".exe"
		}
		name := "kubectl-lb_" + s.Version + "_" + strings.ReplaceAll(platform, "/", "_") + ".tar.gz"
		if p.Bin != bin || !strings.HasSuffix(p.URI, "/"+s.Version+"/"+name) {
			t.Errorf("%s: bin %q, uri %q", platform, p.Bin, p.URI)
		}
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(p.SHA256) {
			t.Errorf("%s: sha256 %q", platform, p.SHA256)
		}
	}
	for _, os := range []string{"darwin", "linux", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			if !seen[os+"/"+arch] {
				t.Errorf("%s/%s is missing", os, arch)
			}
		}
	}
}

// The hash in the manifest is that of the archive which the commit it names gives.
func TestKrewArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program once more")
	}
	if out, err := exec.Command("../../hack/krew.sh", "--verify").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
