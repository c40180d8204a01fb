// Package aimarket holds no code: its tests keep the order of the house.
package aimarket

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// floors is the house from the ground up, as docs/maintainer.md draws it. A
// package may import packages of lower floors, and of its own floor only from
// its own folder (catalog may use catalog/index).
var floors = []struct {
	floor  int
	prefix string
}{
	{0, "internal"},
	{1, "catalog"},
	{1, "ledger"},
	{2, "p2p"},
	{2, "routing"},
	{3, "plugins"},
	{3, "httpapi"},
	{4, "node"},
	{5, "testnet"},
	{6, "cmd"},
	{6, "examples"},
}

const module = "github.com/aimarket/aimarket"

type goPackage struct {
	ImportPath   string
	Dir          string
	Name         string
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func room(importPath string) (floor int, folder string, ok bool) {
	rel := strings.TrimPrefix(importPath, module+"/")
	for _, f := range floors {
		if rel == f.prefix || strings.HasPrefix(rel, f.prefix+"/") {
			return f.floor, f.prefix, true
		}
	}
	return 0, "", false
}

func TestImportsGoDownward(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == module {
			continue
		}
		floor, folder, ok := room(p.ImportPath)
		if !ok {
			t.Errorf("%s has no floor: a new top-level folder needs a reason, and its line in this test", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module+"/") {
				continue
			}
			to, toFolder, _ := room(imp)
			if to < floor || to == floor && toFolder == folder && folder != "plugins" {
				continue
			}
			t.Errorf("%s (floor %d) imports %s (floor %d): only lower floors may be imported", p.ImportPath, floor, imp, to)
		}
	}
}

// TestForeignNouns keeps what a package must know nothing of out of it.
func TestForeignNouns(t *testing.T) {
	forbidden := map[string][]string{
		"catalog": {"net/http", "github.com/libp2p", "github.com/ethereum"},
		"ledger":  {"net/http", "github.com/libp2p"},
		"routing": {"github.com/libp2p", "github.com/go-chi"},
	}
	for _, p := range packages(t) {
		_, folder, _ := room(p.ImportPath)
		for _, imp := range p.Imports {
			for _, bad := range forbidden[folder] {
				if imp == bad || strings.HasPrefix(imp, bad+"/") {
					t.Errorf("%s imports %s: %s knows nothing of it", p.ImportPath, imp, folder)
				}
			}
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	for _, p := range packages(t) {
		var with []string
		files := append(append([]string{}, p.GoFiles...), p.CgoFiles...)
		if len(files) == 0 { // a package of tests only
			files = append(append(files, p.TestGoFiles...), p.XTestGoFiles...)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		switch len(with) {
		case 0:
			t.Errorf("%s has no package comment: say what it promises and where it ends", p.ImportPath)
		case 1:
		default:
			t.Errorf("%s has %d package comments (%s): one package, one promise", p.ImportPath, len(with), strings.Join(with, ", "))
		}
	}
}
