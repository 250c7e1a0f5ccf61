package arch

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

// Limits of a file, in lines: what a reader takes in at one go.
const (
	productLinesMax = 500
	testLinesMax    = 700
)

func TestFilesAreOfReadableSize(t *testing.T)     { report(t, longFiles(load(t))) }
func TestPackagesSayWhatTheyAre(t *testing.T)     { report(t, missingComments(load(t))) }
func TestNothingHappensBeforeMain(t *testing.T)   { report(t, initFunctions(load(t))) }
func TestPackagesHoldNoWaitingState(t *testing.T) { report(t, waitingState(load(t))) }
func TestMainIsShort(t *testing.T)                { report(t, longMain(load(t))) }

func longFiles(source *tree) (found []finding) {
	for _, f := range source.files {
		limit := productLinesMax
		if f.isTest() {
			limit = testLinesMax
		}
		if f.lines > limit {
			found = append(found, f.at(nil, "split it: one noun to a file", "%d lines are more than %d", f.lines, limit))
		}
	}
	return found
}

// mainLinesMax bounds the file of main, which only calls cli.
const mainLinesMax = 30

func longMain(source *tree) (found []finding) {
	for _, f := range source.goFiles() {
		if f.name == "cli/belfry/main.go" && f.lines >= mainLinesMax {
			found = append(found, f.at(nil, "move what it does to cli", "main has %d lines, %d or more", f.lines, mainLinesMax))
		}
	}
	return found
}

// missingComments finds packages without a doc.go that opens with a sentence
// about them. A program, which is one short file, may say it there.
func missingComments(source *tree) (found []finding) {
	documented := make(map[string]bool)
	first := make(map[string]file)
	var order []string
	for _, f := range source.goFiles() {
		if _, ok := first[f.pkg()]; !ok {
			first[f.pkg()] = f
			order = append(order, f.pkg())
		}
		opening, inPlace := "Package "+f.ast.Name.Name+" ", path.Base(f.name) == "doc.go"
		if f.ast.Name.Name == "main" {
			opening, inPlace = "Command "+path.Base(f.pkg())+" ", true
		}
		if inPlace && strings.HasPrefix(f.ast.Doc.Text(), opening) {
			documented[f.pkg()] = true
		}
	}
	for _, pkg := range order {
		if !documented[pkg] {
			found = append(found, first[pkg].at(nil, `write one that opens with "Package `+path.Base(pkg)+` …" (a program: "Command …")`,
				"package %s has no doc.go with a package comment", pkg))
		}
	}
	return found
}

func initFunctions(source *tree) (found []finding) {
	for _, f := range source.goFiles() {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, f.at(fn, "do it where the value is built", "init runs before anybody asked for it"))
			}
		}
	}
	return found
}

// waitingState finds variables of packages that somebody can wait for. One of
// them stops the clock of every simulation that touches it, and two nodes in one
// process share it.
func waitingState(source *tree) (found []finding) {
	for _, f := range source.goFiles() {
		for _, d := range f.ast.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.VAR {
				continue
			}
			for _, spec := range decl.Specs {
				value := spec.(*ast.ValueSpec)
				for _, expr := range append([]ast.Expr{value.Type}, value.Values...) {
					if what := waitsOn(expr); what != "" {
						found = append(found, f.at(value, "make it a field of what uses it", "package variable %s holds a %s", value.Names[0].Name, what))
						break
					}
				}
			}
		}
	}
	return found
}

// waitsOn names the channel, timer or the like that a type or a value is or
// holds; "" is none.
func waitsOn(expr ast.Expr) (what string) {
	if expr == nil {
		return ""
	}
	waiting := map[string]bool{
		"sync.WaitGroup": true, "sync.Cond": true, "sync.NewCond": true,
		"time.Timer": true, "time.Ticker": true, "time.NewTimer": true, "time.NewTicker": true,
		"time.After": true, "time.AfterFunc": true, "time.Tick": true,
	}
	ast.Inspect(expr, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.FuncType:
			return false // what a function does when it is called is its own matter
		case *ast.ChanType:
			what = "channel"
		case *ast.SelectorExpr:
			if of, ok := n.X.(*ast.Ident); ok && waiting[of.Name+"."+n.Sel.Name] {
				what = of.Name + "." + n.Sel.Name
			}
		}
		return what == ""
	})
	return what
}
