package adaptertest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSegmentsAreWrittenAsTheRouterDoes(t *testing.T) {
	for prefix, want := range map[string][]string{
		"": nil, "/api": {"/api"}, "/u/{tenant}/api": {"/u", "/:tenant", "/api"},
	} {
		require.Equal(t, want, App{Prefix: prefix}.Segments(":"), prefix)
	}
	require.Equal(t, []string{"/u", "/{tenant}"}, App{Prefix: "/u/{tenant}"}.Segments(""))
}

func TestGetTellsAnAnswerThatWasNotExpected(t *testing.T) {
	status := http.StatusNoContent
	get := Get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "GET /guarded Bearer x", r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		w.WriteHeader(status)
	}), "/guarded", http.Header{"Authorization": {"Bearer x"}})
	require.NotPanics(t, get)
	status = http.StatusUnauthorized
	require.Panics(t, get)
}
