package arch

import (
	"go/ast"
	"strings"
	"testing"
)

const mapFile = "testing/arch/map_test.go"

func TestEveryPackageIsOnTheMap(t *testing.T) {
	loaded := load(t)
	if len(loaded.goFiles()) == 0 {
		t.Fatal("no Go files were found: the rules looked at nothing")
	}
	report(t, unknownPackages(loaded, packages()))
}

func TestArrowsAreOnTheMap(t *testing.T)         { report(t, strangeArrows(load(t), packages())) }
func TestProductsDoNotHoldTestCode(t *testing.T) { report(t, testCodeInProducts(load(t))) }
func TestTheJudgeDependsOnNobody(t *testing.T)   { report(t, dependentJudges(load(t))) }
func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	report(t, strayLibraries(load(t)))
}

// judges is the one part of testing that goes into the program, where the map
// has an arrow to it.
const judges = "testing/check"

func report(t *testing.T, findings []finding) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

// unknownPackages finds folders with Go that the map does not have.
func unknownPackages(source *tree, entries []entry) (found []finding) {
	seen := make(map[string]bool)
	for _, f := range source.goFiles() {
		if _, ok := find(entries, f.pkg()); ok || seen[f.pkg()] {
			continue
		}
		seen[f.pkg()] = true
		found = append(found, f.at(nil, "add it there with its sentence and its arrows, or move the code to the package it belongs to",
			"package %s is not on the map in %s", f.pkg(), mapFile))
	}
	return found
}

// strangeArrows finds imports of ours, outside of tests, that the map does not
// have: each arrow once, where it is first met.
func strangeArrows(source *tree, entries []entry) (found []finding) {
	seen := make(map[[2]string]bool)
	for _, f := range source.goFiles() {
		from, ok := find(entries, f.pkg())
		if f.isTest() || !ok {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, _, ours string) {
			arrow := [2]string{from.path, ours}
			if ours != "" && !isTestPackage(ours) && !from.mayImport(ours) && !seen[arrow] {
				seen[arrow] = true
				found = append(found, f.at(spec, "have the caller hand it in, or add the arrow in "+mapFile+" with its reason",
					"%s may not import %s", from.path, ours))
			}
		})
	}
	return found
}

// testCodeInProducts finds test libraries in files that go into the program.
func testCodeInProducts(source *tree) (found []finding) {
	for _, f := range source.goFiles() {
		if f.isTest() || f.isTesting() && !within(f.pkg(), judges) {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, path, ours string) {
			if isTestPackage(path) || isTestPackage(ours) {
				found = append(found, f.at(spec, "move the code to a _test.go file or below testing/",
					"product code imports %s, which is for tests", path))
			}
		})
	}
	return found
}

// dependentJudges finds imports of the judge beyond the standard library and
// itself: its verdict on the product rests on nothing that the product rests on.
func dependentJudges(source *tree) (found []finding) {
	for _, f := range source.goFiles() {
		if f.isTest() || !within(f.pkg(), judges) {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, path, ours string) {
			host, _, _ := strings.Cut(path, "/")
			if strings.Contains(host, ".") && !within(ours, judges) {
				found = append(found, f.at(spec, "write what is needed in "+judges, "the judge may not import %s", path))
			}
		})
	}
	return found
}

func isTestPackage(path string) bool {
	if within(path, judges) {
		return false
	}
	for _, library := range []string{
		"testing", "net/http/httptest",
		"pgregory.net/rapid", "github.com/anishathalye/porcupine", "github.com/nats-io/nats-server/v2/test",
	} {
		if within(path, library) {
			return true
		}
	}
	return false
}

// strayLibraries finds libraries outside the one place that knows them.
func strayLibraries(source *tree) (found []finding) {
	homes := map[string]string{
		"github.com/urfave/cli":     "cli",
		"github.com/hashicorp/raft": "node/cluster",
	}
	for _, f := range source.goFiles() {
		if f.isTest() || f.isTesting() {
			continue
		}
		f.imports(func(spec *ast.ImportSpec, path, _ string) {
			for library, home := range homes {
				if within(path, library) && !within(f.pkg(), home) {
					found = append(found, f.at(spec, "ask "+home+" for what is needed", "only %s knows %s", home, library))
				}
			}
		})
	}
	return found
}

// within tells whether path is top or below it.
func within(path, top string) bool {
	return path == top || strings.HasPrefix(path, top+"/")
}
