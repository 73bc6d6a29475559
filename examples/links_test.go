package examples_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const ours = "github.com/oidcgate/oidcgate/"

// coreLinks are the modules whose code core brings into a program.
var coreLinks = []string{
	ours + "core",
	"github.com/cespare/xxhash/v2",
	"github.com/go-jose/go-jose/v4",
	"github.com/go-json-experiment/json",
	"github.com/go-logr/logr",
	"github.com/go-logr/stdr",
	"github.com/google/uuid",
	"github.com/gorilla/securecookie",
	"github.com/lestrrat-go/blackmagic",
	"github.com/lestrrat-go/httpcc",
	"github.com/lestrrat-go/httprc",
	"github.com/lestrrat-go/iter",
	"github.com/lestrrat-go/jwx/v2",
	"github.com/lestrrat-go/option",
	"github.com/muhlemmer/gu",
	"github.com/zitadel/oidc/v3",
	"github.com/zitadel/schema",
	"go.opentelemetry.io/auto/sdk",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/trace",
	"golang.org/x/crypto",
	"golang.org/x/oauth2",
	"golang.org/x/sync",
	"golang.org/x/text",
}

// TestLinksOnlyWhatItNeeds holds what each module brings into a program that
// imports it: no router in core, no other router in an adapter, and nowhere a
// test library or the provider that oidctest is made of.
func TestLinksOnlyWhatItNeeds(t *testing.T) {
	for _, module := range []struct {
		name  string
		links []string
	}{
		{"core", nil},
		{"chiauth", []string{ours + "chiauth", "github.com/go-chi/chi/v5"}},
		{"stdauth", []string{ours + "stdauth"}},
		{"store/memory", []string{ours + "store/memory"}},
	} {
		t.Run(module.name, func(t *testing.T) {
			allowed := slices.Concat(coreLinks, module.links)
			for _, linked := range dependencies(t, ours+module.name, "{{with .Module}}{{.Path}}{{end}}") {
				require.Contains(t, allowed, linked, "%s links a module that it must not", module.name)
			}
			for _, linked := range dependencies(t, ours+module.name, "{{.ImportPath}}") {
				require.NotContains(t, []string{"testing", "github.com/zitadel/oidc/v3/pkg/op"}, linked)
			}
		})
	}
}

// TestLinksOfTestHelpers keeps core out of the provider that applications test
// against, and testify out of that and the suite for stores.
func TestLinksOfTestHelpers(t *testing.T) {
	provider := dependencies(t, ours+"core/oidctest", "{{.ImportPath}}")
	require.NotContains(t, provider, ours+"core")
	for _, path := range append(provider, dependencies(t, ours+"core/storetest", "{{.ImportPath}}")...) {
		require.False(t, strings.HasPrefix(path, "github.com/stretchr/testify"), path)
	}
}

// dependencies lists what a package links, by the format of go list.
func dependencies(t *testing.T, pkg, format string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, pkg).Output()
	require.NoError(t, err)
	found := strings.Fields(string(out))
	require.NotEmpty(t, found)
	slices.Sort(found)
	return slices.Compact(found)
}
