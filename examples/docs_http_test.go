package examples_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/stretchr/testify/require"
)

const httpDocument = "../docs/http.md"

var (
	namedTest = regexp.MustCompile("`(\\w+\\.(?:Test|Fuzz)\\w+)`")
	tableRule = regexp.MustCompile(`^\|(---\|)+$`)
)

// table is one of a document's, without the line below its heads.
type table struct {
	heads []string
	rows  [][]string
}

func tablesOf(t *testing.T, document string) (tables []table) {
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	within := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
			continue
		case tableRule.MatchString(line):
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if !within {
			tables = append(tables, table{heads: cells})
			within = true
			continue
		}
		last := &tables[len(tables)-1]
		require.Len(t, cells, len(last.heads), line)
		last.rows = append(last.rows, cells)
	}
	require.NotEmpty(t, tables)
	return tables
}

// tableWith is the one that has such a head.
func tableWith(t *testing.T, tables []table, head string) table {
	for _, candidate := range tables {
		for _, has := range candidate.heads {
			if has == head {
				return candidate
			}
		}
	}
	t.Fatalf("%s has no table with %q", httpDocument, head)
	return table{}
}

// TestEveryRowOfTheHTTPDocumentIsHeldByATest holds that each row names a test, and
// that each test which is named exists.
func TestEveryRowOfTheHTTPDocumentIsHeldByATest(t *testing.T) {
	text, err := os.ReadFile(httpDocument)
	require.NoError(t, err)
	there := testsBelow(t, "..")
	for _, name := range namedTest.FindAllStringSubmatch(string(text), -1) {
		require.True(t, there[name[1]], "there is no test %s", name[1])
	}
	for _, table := range tablesOf(t, httpDocument) {
		last := len(table.heads) - 1
		require.Equal(t, "held by", table.heads[last])
		for _, row := range table.rows {
			require.Regexp(t, namedTest, row[last], "the row %q names no test", row[0])
		}
	}
}

// testsBelow lists the tests of all modules, as folder.Name.
func testsBelow(t *testing.T, root string) map[string]bool {
	tests := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
				tests[filepath.Base(filepath.Dir(path))+"."+function.Name.Name] = true
			}
		}
		return nil
	}))
	return tests
}

// TestTheHTTPDocumentHasEveryErrorCode holds that a code which core answers with is
// explained.
func TestTheHTTPDocumentHasEveryErrorCode(t *testing.T) {
	explained := ""
	for _, row := range tableWith(t, tablesOf(t, httpDocument), "situation").rows {
		explained += row[2]
	}
	files, err := filepath.Glob("../core/*.go")
	require.NoError(t, err)
	found := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			if code := errorCode(t, node); code != "" {
				found++
				require.Contains(t, explained, "`"+code+"`", path)
			}
			return true
		})
	}
	require.Greater(t, found, 10)
}

// errorCode is the code in a literal such as Error{Code: "invalid_grant"}, else "".
func errorCode(t *testing.T, node ast.Node) string {
	literal, ok := node.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "Error" {
		return ""
	}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok || pair.Key.(*ast.Ident).Name != "Code" {
			continue
		}
		if value, ok := pair.Value.(*ast.BasicLit); ok {
			code, err := strconv.Unquote(value.Value)
			require.NoError(t, err)
			return code
		}
	}
	return ""
}

// TestTheHTTPDocumentHasEveryRoute holds that the table of routes is what is served:
// each route with its path, its methods and the mode that it needs, and no other. The
// README's has them too.
func TestTheHTTPDocumentHasEveryRoute(t *testing.T) {
	endpoints := func(broker *core.Broker, browser *core.Browser) []core.Endpoint {
		auth, err := core.New(core.Config{
			Providers: []core.Provider{{Issuer: "https://id.example.org", ClientID: "app", ClientSecret: "secret"}}, PublicURL: "https://app.example.org/api",
			Secrets: []string{strings.Repeat("-_", 22)}, Broker: broker, Browser: browser,
		})
		require.NoError(t, err)
		defer auth.Close()
		return auth.Endpoints()
	}
	when := map[string]string{}
	for _, e := range endpoints(nil, &core.Browser{}) {
		when[e.Path] = "`Config.Browser`"
	}
	for _, e := range endpoints(&core.Broker{}, nil) {
		when[e.Path] = "broker mode"
	}
	for _, e := range endpoints(nil, nil) {
		when[e.Path] = "always"
	}
	var served [][]string
	everything := &core.Broker{ResourceServers: []core.Client{{ID: "orders", Secret: strings.Repeat("-_", 22)}}}
	for _, e := range endpoints(everything, &core.Browser{}) {
		served = append(served, []string{e.Name, strings.Join(e.Methods, ", "), "`" + e.Path + "`", cmp.Or(when[e.Path], "`Broker.ResourceServers`")})
	}
	var documented [][]string
	for _, row := range tableWith(t, tablesOf(t, httpDocument), "methods").rows {
		documented = append(documented, row[:4])
	}
	require.Equal(t, served, documented)

	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, route := range served {
		require.Regexp(t, `(?m)^\| `+route[0]+` \| `+route[1]+` \| .*`+regexp.QuoteMeta(route[2])+`.* \|$`, string(readme))
	}
}
