package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// tree is the module's source.
type tree struct {
	module string
	fset   *token.FileSet
	files  []file // by name
}

// file is a source file of the module.
type file struct {
	name  string // below the module, with slashes
	lines int
	ast   *ast.File // nil unless Go
	tree  *tree
}

// finding is one broken rule, and what to do about it.
type finding struct {
	file, problem, remedy string
	line                  int
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s; %s", f.file, f.line, f.problem, f.remedy)
}

// pkg is the package's path below the module.
func (f file) pkg() string { return path.Dir(f.name) }

func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// isTesting tells whether the file is of the testing packages.
func (f file) isTesting() bool { return strings.HasPrefix(f.name, "testing/") }

// at makes a finding at a node of the file.
func (f file) at(where ast.Node, remedy, problem string, args ...any) finding {
	line := 1
	if where != nil {
		line = f.tree.fset.Position(where.Pos()).Line
	}
	return finding{file: f.name, line: line, problem: fmt.Sprintf(problem, args...), remedy: remedy}
}

// imports calls visit with each import's path, and with its path below the
// module where it is one of ours.
func (f file) imports(visit func(spec *ast.ImportSpec, path, ours string)) {
	for _, spec := range f.ast.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the compiler says so
		}
		ours, _ := strings.CutPrefix(imported, f.tree.module+"/")
		if ours == imported {
			ours = ""
		}
		visit(spec, imported, ours)
	}
}

// goFiles are those that hold Go.
func (t *tree) goFiles() []file {
	var all []file
	for _, f := range t.files {
		if f.ast != nil {
			all = append(all, f)
		}
	}
	return all
}

// add takes a file into the tree.
func (t *tree) add(name string, source []byte) error {
	f := file{name: name, lines: strings.Count(string(source), "\n"), tree: t}
	if strings.HasSuffix(name, ".go") {
		parsed, err := parser.ParseFile(t.fset, name, source, parser.ParseComments)
		if err != nil {
			return err
		}
		f.ast = parsed
	}
	t.files = append(t.files, f)
	return nil
}

// plant is a tree of the sources given.
func plant(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	planted := &tree{module: "example.com/m", fset: token.NewFileSet()}
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := planted.add(name, []byte(sources[name])); err != nil {
			t.Fatal(err)
		}
	}
	return planted
}

// root is the module's folder.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the test: run it inside the module")
		}
		dir = parent
	}
}

// load reads the module's own tree.
func load(t *testing.T) *tree {
	t.Helper()
	top, err := root()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	loaded := &tree{module: strings.TrimSpace(strings.TrimPrefix(first, "module ")), fset: token.NewFileSet()}
	if err := loaded.read(top); err != nil {
		t.Fatal(err)
	}
	return loaded
}

// read adds what stands below top, but for test data and what is built.
func (t *tree) read(top string) error {
	return filepath.WalkDir(top, func(name string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		if found.IsDir() {
			switch base := found.Name(); {
			case below == ".":
			case strings.HasPrefix(base, "."), base == "testdata", base == "vendor", below == "bin", below == "data":
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(below) {
		case ".go", ".py", ".js", ".css", ".html":
			source, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			return t.add(below, source)
		}
		return nil
	})
}
