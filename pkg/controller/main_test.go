package controller

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubectl-lb/kubectl-lb/pkg/controller/config"
)

func TestMainCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\naddressPools:\n" +
		"- {name: web, addresses: [192.0.2.0/24]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args   []string
		env    []string
		code   int
		stdout string
		stderr string
	}{
		{args: []string{"version"}, stdout: "\n"},
		{args: []string{"--help"}, stdout: "--config"},
		{args: []string{"config"}, stdout: "check"},
		{args: []string{"config", "default"}, stdout: "backend: software\n"},
		{args: []string{"config", "check", "--config", file}, stdout: "192.0.2.0/24"},
		{args: []string{"config", "check", "--config", file}, env: []string{"LB_LOG_LEVEL=debug"}, stdout: "level: debug"},
		{args: []string{"config", "check", "--config", "/none"}, code: exitUsage, stderr: "/none"},
		{args: []string{"config", "check"}, env: []string{"BACKEND=neutron"}, code: exitUsage, stderr: "valid is software"},
		{args: []string{"--backend", "octavia"}, code: exitUsage, stderr: "there are no credentials"},
		{args: []string{"--no-such-flag"}, code: exitUsage, stderr: "no-such-flag"},
		{args: []string{"run"}, code: exitUsage, stderr: `unknown argument "run"`},
		{args: []string{"--kubeconfig", "/does/not/exist"}, code: exitError, stderr: "/does/not/exist"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			var out, errs strings.Builder
			if code := Main(tc.args, tc.env, &out, &errs); code != tc.code {
				t.Errorf("exit %d, want %d; stderr %q", code, tc.code, errs.String())
			}
			if !strings.Contains(out.String(), tc.stdout) || tc.code != exitOK && out.Len() > 0 {
				t.Errorf("stdout %q", out.String())
			}
			if !strings.Contains(errs.String(), tc.stderr) || tc.code == exitOK && errs.Len() > 0 {
				t.Errorf("stderr %q", errs.String())
			}
		})
	}
}
