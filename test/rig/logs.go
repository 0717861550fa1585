package rig

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeepLogs copies the logs of the lab's programs and Pods to a new directory for temporary files, and returns its name.
// A run that has failed asks for it before the lab goes.
func (r *Rig) KeepLogs() (string, error) {
	from := r.Lab.Info().Dir
	to, err := os.MkdirTemp("", "kubectl-lb-logs-")
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(path, ".log") {
			return ignoreGone(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return ignoreGone(err)
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		copied := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
			return err
		}
		return os.WriteFile(copied, text, 0o600)
	})
	if err != nil {
		return "", fmt.Errorf("keep the logs of %s: %w", from, err)
	}
	return to, nil
}

// ignoreGone: the lab lives on while its logs are read, and files of it come and go.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
