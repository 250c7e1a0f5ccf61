package arch

import (
	"go/ast"
	"strings"
	"testing"
)

func TestPurePackagesArePure(t *testing.T) { report(t, impurities(load(t), packages())) }

// impureLibraries reach for the clock, the world or chance.
func impureLibraries() []string {
	return []string{
		"net", "os", "io/ioutil", "syscall", "log", "database", "plugin", "runtime", "embed",
		"math/rand", "crypto/rand", "testing",
	}
}

// clock are the names of package time that read it, wait for it, or look at the
// machine. Its types and its arithmetic are welcome.
func clock() []string {
	return []string{
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
		"Local", "LoadLocation",
	}
}

// impurities finds what a function of its arguments alone would not need, in
// the packages that the map calls pure.
func impurities(source *tree, entries []entry) (found []finding) {
	const remedy = "have the caller hand in what was read; decisions must give the same on every node and in every replay"
	for _, f := range source.goFiles() {
		if e, ok := find(entries, f.pkg()); !ok || !e.pure || f.isTest() {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, path, _ string) {
			if isImpure(path) {
				found = append(found, f.at(spec, remedy, "%s is pure and may not import %s", f.pkg(), path))
			}
			if path == "time" && spec.Name != nil && spec.Name.Name == "." {
				found = append(found, f.at(spec, "import it by name", "%s is pure: a dot import of time hides the clock", f.pkg()))
			}
		})
		for _, use := range clockUses(f) {
			found = append(found, f.at(use, remedy, "%s is pure and may not use time.%s", f.pkg(), use.Sel.Name))
		}
	}
	return found
}

func isImpure(path string) bool {
	for _, library := range impureLibraries() {
		if within(path, library) {
			return true
		}
	}
	return strings.Contains(path, "nats") || strings.Contains(path, "raft")
}

// clockUses finds the uses of the clock, whatever name package time goes by.
func clockUses(f file) (uses []*ast.SelectorExpr) {
	name := ""
	f.imports(func(spec *ast.ImportSpec, path, _ string) {
		if path == "time" {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	})
	if name == "" {
		return nil
	}
	forbidden := make(map[string]bool)
	for _, n := range clock() {
		forbidden[n] = true
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		use, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// The parser gives an object to what the file itself declares, so a
		// variable called time is not the package.
		of, ok := use.X.(*ast.Ident)
		if ok && of.Name == name && of.Obj == nil && forbidden[use.Sel.Name] {
			uses = append(uses, use)
		}
		return true
	})
	return uses
}
