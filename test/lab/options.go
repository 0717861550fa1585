package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/kubectl-lb/kubectl-lb/test/lab/controlplane"
)

// Options describe the lab to start. The zero value is a lab named "lab" with three LB nodes and two workers.
type Options struct {
	// Name tells labs on one machine apart: at most 16 of a-z and 0-9. Default "lab".
	Name string `json:"name"`
	// LBNodes, Workers and Clients count the machines. Defaults 3, 2 and 1; a negative number means none.
	LBNodes int `json:"lbNodes"`
	Workers int `json:"workers"`
	Clients int `json:"clients"`
	// BinDir holds lab, hello, lb-controller and lb-daemon. Default: bin in the checkout.
	BinDir string `json:"binDir"`
	// Images maps further image repositories (without tag) to programs of the host.
	Images map[string]string `json:"images,omitempty"`
	// Binaries is the folder of the control plane's programs. Default: built or found by controlplane.Ensure.
	Binaries string `json:"binaries"`
	// Program is the lab program that becomes supervisor and containers. Default: lab in BinDir.
	Program string `json:"program"`
	// Out takes progress, a line a step. Default: nothing is said.
	Out io.Writer `json:"-"`
}

// BaseDir is where the labs of this machine keep their state: KUBECTL_LB_LAB_DIR, default /run/kubectl-lb-lab.
func BaseDir() string { return cmp.Or(os.Getenv("KUBECTL_LB_LAB_DIR"), "/run/kubectl-lb-lab") }

// DefaultName is the name of the lab that nobody named.
const DefaultName = "lab"

// withDefaults fills in and checks what the caller left open.
func (o Options) withDefaults() (Options, error) {
	o.Name = cmp.Or(o.Name, DefaultName)
	if err := checkName(o.Name); err != nil {
		return o, err
	}
	if os.Geteuid() != 0 {
		return o, errors.New("the lab needs root: it makes network namespaces")
	}
	o.LBNodes = max(cmp.Or(o.LBNodes, 3), 0)
	o.Workers = max(cmp.Or(o.Workers, 2), 0)
	o.Clients = cmp.Or(o.Clients, 1)
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.BinDir == "" {
		root, err := controlplane.RepoRoot()
		if err != nil {
			return o, err
		}
		o.BinDir = filepath.Join(root, "bin")
	}
	o.Program = cmp.Or(o.Program, filepath.Join(o.BinDir, "lab"))
	var err error
	if o.BinDir, err = filepath.Abs(o.BinDir); err != nil {
		return o, err
	}
	if _, err := os.Stat(o.Program); err != nil {
		return o, fmt.Errorf("the lab's program is not built (make build): %w", err)
	}
	return o, nil
}

// checkName allows no hyphen: namespaces are found by klb-<name>-, which must not match another lab's.
func checkName(name string) error {
	if !regexp.MustCompile(`^[a-z0-9]{1,16}$`).MatchString(name) {
		return fmt.Errorf("lab name %q: want at most 16 of a-z and 0-9", name)
	}
	return nil
}
