package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Result is what a command printed and how it ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Kubectl runs the real kubectl, with the plugin on its PATH and the user's home empty. A non-zero exit is no error:
// see [Result].Code. The error says that it could not be run at all.
func (r *Rig) Kubectl(ctx context.Context, stdin string, args ...string) (Result, error) {
	return r.KubectlWith(ctx, nil, stdin, args...)
}

// KubectlWith is [Rig.Kubectl] with further variables in the environment, as NAME=VALUE.
func (r *Rig) KubectlWith(ctx context.Context, env []string, stdin string, args ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.Binaries, "kubectl"), args...)
	cmd.Dir = r.Repo
	cmd.Env = append([]string{
		"PATH=" + r.Bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"KUBECONFIG=" + r.Lab.Info().Kubeconfig, "HOME=" + r.home, "TERM=dumb",
	}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	res := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	return res, err
}

// MustKubectl is [Rig.Kubectl] for a command that has to succeed; it returns what was printed.
func (r *Rig) MustKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	res, err := r.Kubectl(ctx, stdin, args...)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("exit status %d: %s", res.Code, strings.TrimSpace(res.Stderr))
	}
	if err != nil {
		return res.Stdout, fmt.Errorf("kubectl %s: %w", strings.Join(args, " "), err)
	}
	return res.Stdout, nil
}

// Apply applies manifests with the real kubectl.
func (r *Rig) Apply(ctx context.Context, manifests string) error {
	_, err := r.MustKubectl(ctx, manifests, "apply", "-f", "-")
	return err
}

// ApplyFile applies a file of the repository.
func (r *Rig) ApplyFile(ctx context.Context, path string) error {
	_, err := r.MustKubectl(ctx, "", "apply", "-f", filepath.Join(r.Repo, path))
	return err
}
