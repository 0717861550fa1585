package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeConfig writes a configuration file where the program looks for it, and returns the variables that say so.
func writeConfig(t *testing.T, text string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "kubectl-lb", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"XDG_CONFIG_HOME": dir}
}

// A flag beats the environment, which beats the file, which beats the default.
func TestConfigLayers(t *testing.T) {
	for _, c := range []struct {
		name, file, env, flag, want string
	}{
		{name: "default", want: "Client Version:"},
		{name: "file", file: "output: json\n", want: `"client"`},
		{name: "environment", file: "output: json\n", env: "yaml", want: "client:\n"},
		{name: "flag", file: "output: json\n", env: "yaml", flag: "jsonpath={.kind}", want: "VersionReport"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := writeConfig(t, c.file)
			if c.env != "" {
				env["KUBECTL_LB_OUTPUT"] = c.env
			}
			args := []string{"version", "--client"}
			if c.flag != "" {
				args = append(args, "-o", c.flag)
			}
			r := call{args: args, env: env}.run(t.Context())
			if r.code != ExitOK || !strings.Contains(r.out, c.want) {
				t.Errorf("got %+v, want %q", r, c.want)
			}
		})
	}
}

func TestConfigIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"malformed":        "output: [json\n",
		"unknown":          "outputs: json\n",
		"other cluster":    "server: https://evil.example.com\n",
		"other user":       "as: system:admin\n",
		"everything":       "all: true\n",
		"other namespace":  "namespace: production\n",
		"what is deleted":  "selector: app=x\n",
		"another's secret": "token: secret\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := call{args: []string{"version", "--client"}, env: writeConfig(t, text)}.run(t.Context())
			if r.code != ExitError || !strings.Contains(r.errOut, "config.yaml") || r.out != "" {
				t.Errorf("got %+v, want an error that names the file", r)
			}
		})
	}
}

// The environment can't redirect the connection either.
func TestEnvironmentLeavesTheConnectionAlone(t *testing.T) {
	env := map[string]string{
		"KUBECTL_LB_SERVER": "https://evil.example.com", "KUBECTL_LB_AS": "admin", "KUBECTL_LB_ALL": "true",
	}
	r := call{args: []string{"options", "--show-origin"}, env: env}.run(t.Context())
	if r.code != ExitOK || strings.Contains(r.out, "evil") || strings.Contains(r.out, "--all ") {
		t.Errorf("got %+v", r)
	}
}

// What the configuration says is judged like what was typed, before anything is done.
func TestConfiguredValuesAreJudged(t *testing.T) {
	for variable, args := range map[string][]string{
		"KUBECTL_LB_DRY_RUN=cleint":    {"expose", "svc/tea"},
		"KUBECTL_LB_TIMEOUT=-1s":       {"delete", "tea"},
		"KUBECTL_LB_OUTPUT=yaaml":      {"expose", "svc/tea"},
		"KUBECTL_LB_FAIL_ON=something": {"validate", "--local", "-f", "x.yaml"},
	} {
		name, value, _ := strings.Cut(variable, "=")
		r := call{args: args, env: map[string]string{name: value}}.run(t.Context())
		if r.code != ExitUsage || r.out != "" {
			t.Errorf("%s: %+v, want exit status %d", variable, r, ExitUsage)
		}
	}
}

// A format that only other commands have is no concern of a command.
func TestConfiguredOutputOfOthers(t *testing.T) {
	plain := call{args: []string{"generate", "svc/tea"}}.run(t.Context())
	for value, want := range map[string]bool{"wide": true, "table": true, "json": false, "jsonpath={.kind}": false} {
		got := call{
			args: []string{"generate", "svc/tea"}, env: map[string]string{"KUBECTL_LB_OUTPUT": value},
		}.run(t.Context())
		if got.code != ExitOK || (got == plain) != want {
			t.Errorf("%s: %+v", value, got)
		}
	}
}

func TestShowOrigin(t *testing.T) {
	env := writeConfig(t, "color: never\nsystem-namespace: lb\n")
	env["KUBECTL_LB_OUTPUT"] = "wide"
	args := []string{"options", "--show-origin", "--system-namespace", "other"}
	r := call{args: args, env: env}.run(t.Context())
	r.out = strings.ReplaceAll(r.out, env["XDG_CONFIG_HOME"], "HOME")
	r.expect(t, "options-origin", args)
}
