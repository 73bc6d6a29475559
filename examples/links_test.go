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
	ours + "store",
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

// moduleLinks are what each module brings besides.
var moduleLinks = []struct {
	name  string
	links []string
}{
	{"core", nil},
	{"chiauth", []string{ours + "chiauth", "github.com/go-chi/chi/v5"}},
	{"stdauth", []string{ours + "stdauth"}},
	{"otelauth", []string{
		ours + "otelauth", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "github.com/felixge/httpsnoop",
	}},
	{"fiberauth", []string{
		ours + "fiberauth", "github.com/gofiber/fiber/v3", "github.com/gofiber/schema", "github.com/gofiber/utils/v2",
		"github.com/valyala/fasthttp", "github.com/valyala/bytebufferpool", "github.com/andybalholm/brotli",
		"github.com/klauspost/compress", "github.com/mattn/go-colorable", "github.com/mattn/go-isatty",
		"github.com/philhofer/fwd", "github.com/tinylib/msgp", "golang.org/x/net", "golang.org/x/sys",
	}},
	{"ginauth", []string{
		ours + "ginauth", "github.com/gin-gonic/gin", "github.com/gin-contrib/sse", "github.com/gabriel-vasile/mimetype",
		"github.com/go-playground/locales", "github.com/go-playground/universal-translator",
		"github.com/go-playground/validator/v10", "github.com/goccy/go-yaml", "github.com/leodido/go-urn",
		"github.com/mattn/go-isatty", "github.com/pelletier/go-toml/v2", "github.com/quic-go/qpack",
		"github.com/quic-go/quic-go", "github.com/ugorji/go/codec", "golang.org/x/net", "golang.org/x/sys",
		"google.golang.org/protobuf",
		"go.mongodb.org/mongo-driver/v2", // its BSON alone, see below
	}},
	{"echoauth", []string{
		ours + "echoauth", "github.com/labstack/echo/v4", "github.com/labstack/gommon", "github.com/mattn/go-colorable",
		"github.com/mattn/go-isatty", "github.com/valyala/bytebufferpool", "github.com/valyala/fasttemplate",
		"golang.org/x/net", "golang.org/x/sys",
	}},
	{"store", []string{ours + "store"}},
	{"store/sqlite", []string{
		ours + "store", ours + "store/sqlite", "github.com/google/uuid", "modernc.org/sqlite", "modernc.org/libc", "modernc.org/mathutil", "modernc.org/memory",
		"github.com/dustin/go-humanize", "github.com/mattn/go-isatty", "github.com/ncruces/go-strftime",
		"github.com/remyoudompheng/bigfft", "golang.org/x/sys",
	}},
	{"store/postgres", []string{ours + "store", ours + "store/postgres", "github.com/jmoiron/sqlx", "github.com/lib/pq"}},
}

// peerLinks are what the benchmark compares ours with, and nothing else has.
var peerLinks = []string{
	ours + "bench", "github.com/coreos/go-oidc/v3", "github.com/auth0/go-jwt-middleware/v2", "github.com/go-chi/jwtauth/v5",
	"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3", "github.com/MicahParks/jwkset", "golang.org/x/time",
	"gopkg.in/go-jose/go-jose.v2",
	"github.com/bmatcuk/doublestar/v4", "github.com/muhlemmer/httpforwarded", "github.com/rs/cors", // zitadel/oidc's package op
}

// TestLinksOnlyWhatItNeeds holds what each module brings into a program that
// imports it: no router in core, no other router in an adapter, and nowhere a
// test library or the provider that oidctest is made of.
func TestLinksOnlyWhatItNeeds(t *testing.T) {
	for _, module := range moduleLinks {
		t.Run(module.name, func(t *testing.T) {
			allowed := module.links
			if !strings.HasPrefix(module.name, "store") { // stores know nothing of core
				allowed = slices.Concat(coreLinks, module.links)
			}
			for _, linked := range dependencies(t, ours+module.name, "{{with .Module}}{{.Path}}{{end}}") {
				require.Contains(t, allowed, linked, "%s links a module that it must not", module.name)
			}
			for _, linked := range dependencies(t, ours+module.name, "{{.ImportPath}}") {
				require.NotContains(t, []string{"testing", "github.com/zitadel/oidc/v3/pkg/op", "go.mongodb.org/mongo-driver/v2/mongo"}, linked)
			}
		})
	}
}

// TestLinksOfTheBenchmark holds what it brings besides what it measures.
func TestLinksOfTheBenchmark(t *testing.T) {
	allowed := slices.Concat(coreLinks, peerLinks)
	for _, module := range moduleLinks {
		allowed = append(allowed, module.links...)
	}
	for _, linked := range dependencies(t, ours+"bench", "{{with .Module}}{{.Path}}{{end}}") {
		require.Contains(t, allowed, linked, "the benchmark links a module that it must not")
	}
}

// TestLinksOfTestHelpers keeps core out of the provider that applications test
// against, and testify out of that and the suites for stores and adapters.
func TestLinksOfTestHelpers(t *testing.T) {
	provider := dependencies(t, ours+"core/oidctest", "{{.ImportPath}}")
	require.NotContains(t, provider, ours+"core")
	for _, path := range slices.Concat(provider, dependencies(t, ours+"store/storetest", "{{.ImportPath}}"), dependencies(t, ours+"core/adaptertest", "{{.ImportPath}}")) {
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
