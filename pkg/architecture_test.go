// Package pkg_test holds the laws of the house: who may import whom, and how large a thing may grow.
// docs/architecture.md has the picture.
package pkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/kubectl-lb/kubectl-lb"
	// maxMain and maxFile are in lines.
	maxMain = 30
	maxFile = 500
)

// floors ranks the rooms. A package imports packages of its own room and of rooms on lower floors, never of a room
// beside it or above.
var floors = map[string]int{
	"cmd":            5,
	"pkg/cli":        4,
	"pkg/controller": 4,
	"pkg/daemon":     4,
	"pkg/internal":   3,
	"pkg/backend":    3,
	"pkg/source":     3,
	"pkg/render":     2,
	"pkg/plan":       2,
	"pkg/certs":      1,
	"pkg/nodeconfig": 1,
	"pkg/lb":         0,
}

// reserved names the only rooms that may import a library.
var reserved = map[string][]string{
	"github.com/google/nftables":          {"pkg/internal/cut"},
	"github.com/gophercloud/gophercloud":  {"pkg/backend/octavia"},
	"github.com/olekukonko/tablewriter":   {"pkg/cli/printer"},
	"github.com/prometheus/client_golang": {"pkg/controller", "pkg/daemon", "pkg/internal/agent"},
	"github.com/spf13/cobra":              {"pkg/cli", "pkg/controller", "pkg/daemon"},
	"github.com/spf13/viper":              {"pkg/cli", "pkg/controller", "pkg/daemon"},
	"github.com/vishvananda/netlink":      {"pkg/daemon", "pkg/internal"},
	"k8s.io/cli-runtime":                  {"pkg/cli"},
	"k8s.io/kubectl":                      {"pkg/cli"},
	"sigs.k8s.io/controller-runtime":      {"pkg/controller"},
}

// core are the rooms that perform no IO and import nothing but themselves and the standard library, not even through
// somebody else.
var core = []string{"pkg/certs", "pkg/lb", "pkg/nodeconfig", "pkg/plan", "pkg/render"}

// goPackage is what `go list -json` says about a package.
type goPackage struct {
	ImportPath, Dir, Doc, Name string
	Imports, Deps, GoFiles     []string
}

// room is the package's path in the module, such as "pkg/render/nginx".
func (p goPackage) room() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

// laws are checked against the module itself, and each against a package that breaks it.
var laws = map[string]struct {
	// broken returns a sentence for each breach.
	broken func(goPackage) []string
	// breach is a package that must be found guilty.
	breach goPackage
}{
	"imports go down": {brokenFloors,
		goPackage{ImportPath: module + "/pkg/source/configmap", Imports: []string{module + "/pkg/backend"}}},
	"libraries stay in their rooms": {brokenReservations,
		goPackage{ImportPath: module + "/pkg/cli", Imports: []string{"github.com/olekukonko/tablewriter/tw"}}},
	"the core knows no Kubernetes": {brokenCore,
		goPackage{ImportPath: module + "/pkg/render/nginx", Deps: []string{"k8s.io/api/core/v1"}}},
	"the core performs no IO": {brokenCore,
		goPackage{ImportPath: module + "/pkg/plan", Imports: []string{"os"}}},
	"the daemon stays small": {brokenDaemon,
		goPackage{ImportPath: module + "/cmd/lb-daemon", Deps: []string{"sigs.k8s.io/controller-runtime"}}},
	"a package says what it is": {brokenComment,
		goPackage{ImportPath: module + "/pkg/lb", GoFiles: []string{"lb.go"}}},
	"files stay small": {brokenSize,
		goPackage{ImportPath: module + "/cmd/long", Name: "main", Dir: ".", GoFiles: []string{"architecture_test.go"}}},
}

func TestArchitecture(t *testing.T) {
	packages := listPackages(t)
	for name, law := range laws {
		t.Run(name, func(t *testing.T) {
			for _, p := range packages {
				for _, breach := range law.broken(p) {
					t.Error(breach)
				}
			}
			if len(law.broken(law.breach)) == 0 {
				t.Errorf("the law lets %s pass", law.breach.ImportPath)
			}
		})
	}
	for room := range floors {
		if !slices.ContainsFunc(packages, func(p goPackage) bool { return within(p.room(), room) }) {
			t.Errorf("the room %s is empty: build it, or take it out of floors", room)
		}
	}
}

// TestPicture: docs/architecture.md names every package, and none that is not there.
func TestPicture(t *testing.T) {
	const picture = "docs/architecture.md"
	text, err := os.ReadFile(filepath.Join("..", picture))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, match := range regexp.MustCompile("`(pkg/[a-z0-9/]+)`").FindAllSubmatch(text, -1) {
		named[string(match[1])] = true
	}
	for _, p := range listPackages(t) {
		if room := p.room(); within(room, "pkg") && room != "pkg" && !named[room] {
			t.Errorf("%s does not say what %s is: add it to the table of packages", picture, room)
		}
	}
	for room := range named {
		if info, err := os.Stat(filepath.Join("..", filepath.FromSlash(room))); err != nil || !info.IsDir() {
			t.Errorf("%s names %s, which is not there", picture, room)
		}
	}
}

func brokenFloors(p goPackage) (breaches []string) {
	from, rank, known := floorOf(p.room())
	if !known {
		return []string{p.ImportPath + " belongs to no room: add it to floors, and to docs/architecture.md"}
	}
	for _, imported := range p.Imports {
		if !within(imported, module) {
			continue
		}
		to, below, _ := floorOf(strings.TrimPrefix(imported, module+"/"))
		if from != to && below >= rank {
			breaches = append(breaches, fmt.Sprintf("forbidden import: %s -> %s (from floor %d to floor %d)",
				p.ImportPath, imported, rank, below))
		}
	}
	return breaches
}

func brokenReservations(p goPackage) (breaches []string) {
	for _, imported := range p.Imports {
		for library, rooms := range reserved {
			if within(imported, library) && !withinAny(p.room(), rooms) {
				breaches = append(breaches, fmt.Sprintf("forbidden import: %s -> %s (only %s may)",
					p.ImportPath, imported, strings.Join(rooms, ", ")))
			}
		}
	}
	return breaches
}

func brokenCore(p goPackage) (breaches []string) {
	if !withinAny(p.room(), core) {
		return nil
	}
	for _, dep := range p.Deps {
		if !isStandard(dep) && !withinAny(strings.TrimPrefix(dep, module+"/"), core) {
			breaches = append(breaches, fmt.Sprintf("forbidden dependency: %s -> … -> %s", p.ImportPath, dep))
		}
	}
	for _, imported := range p.Imports {
		if slices.Contains([]string{"net", "net/http", "os", "os/exec", "syscall"}, imported) {
			breaches = append(breaches, fmt.Sprintf("forbidden import: %s -> %s", p.ImportPath, imported))
		}
	}
	return breaches
}

func brokenDaemon(p goPackage) (breaches []string) {
	heavy := []string{"sigs.k8s.io/controller-runtime", "k8s.io/cli-runtime", "k8s.io/kubectl"}
	for _, dep := range p.Deps {
		if within(p.room(), "cmd/lb-daemon") && withinAny(dep, heavy) {
			breaches = append(breaches, fmt.Sprintf("forbidden dependency: %s -> … -> %s", p.ImportPath, dep))
		}
	}
	return breaches
}

func brokenComment(p goPackage) []string {
	if len(p.GoFiles) > 0 && p.Doc == "" {
		return []string{p.ImportPath + " has no package comment"}
	}
	return nil
}

func brokenSize(p goPackage) (breaches []string) {
	limit := maxFile
	if p.Name == "main" && within(p.room(), "cmd") {
		limit = maxMain
	}
	for _, f := range p.GoFiles {
		b, err := os.ReadFile(filepath.Join(p.Dir, f))
		if err != nil {
			return []string{err.Error()}
		}
		if n := bytes.Count(b, []byte("\n")); n > limit {
			breaches = append(breaches, fmt.Sprintf("%s/%s has %d lines, more than %d", p.room(), f, n, limit))
		}
	}
	return breaches
}

// listPackages lists the module's packages.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Name,Imports,Deps,GoFiles", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(fmt.Errorf("go list: %w", err))
		}
		packages = append(packages, p)
	}
}

// floorOf returns the room that a package belongs to, and its floor.
func floorOf(path string) (room string, floor int, known bool) {
	for room, floor := range floors {
		if within(path, room) {
			return room, floor, true
		}
	}
	return path, 0, path == "pkg"
}

// within reports whether an import path is a folder or lies below it.
func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func withinAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(path, f) })
}

// isStandard reports whether a package is of the standard library: only there has the first element no dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
