package core_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rooms are the packages below core, from the lowest to the highest. A room may import
// those before it and no others.
var rooms = []string{
	"fault", "text", "address", "background", "browser", "httpx", "jose", "seal", // what needs nothing of ours, or faults alone
	"session", "fetch", "vault", "claim", "verify", "provider", "trust", "broker",
}

// callers are the rooms that make HTTP calls; the others know nothing of HTTP.
var callers = []string{"httpx", "provider"}

func TestArrowsBetweenRoomsRunDown(t *testing.T) {
	const ours = "github.com/oidcgate/oidcgate/"
	folders, err := filepath.Glob("internal/*")
	require.NoError(t, err)
	require.Len(t, folders, len(rooms), "each room has its place in the list")
	for height, room := range rooms {
		for _, path := range importsOf(t, filepath.Join("internal", room)) {
			if path == "net/http" {
				require.Contains(t, callers, room, "only rooms that call others know HTTP")
			}
			below, isOurs := strings.CutPrefix(path, ours)
			if !isOurs || below == "store" {
				continue
			}
			name, isRoom := strings.CutPrefix(below, "core/internal/")
			require.True(t, isRoom, "%s imports %s, which is above it", room, path)
			require.Contains(t, rooms[:height], name, "%s imports %s, which is not below it", room, name)
		}
	}
}

// importsOf lists what the files in a folder import, tests excluded.
func importsOf(t *testing.T, folder string) []string {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	var paths []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			paths = append(paths, path)
		}
	}
	require.NotEmpty(t, paths, folder)
	slices.Sort(paths)
	return slices.Compact(paths)
}
