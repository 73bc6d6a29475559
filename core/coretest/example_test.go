package coretest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/coretest"
)

// greet is a handler behind a guard.
func greet(w http.ResponseWriter, r *http.Request) {
	token := core.TokenFrom(r.Context())
	fmt.Fprintf(w, "hello %s, admin: %t", token.Subject(), token.HasRole("admin"))
}

// A test hands the handler a request whose context has a token, as a guard does.
func ExampleNewToken() {
	_ = func(t *testing.T) {
		token := coretest.NewToken(t, map[string]any{"sub": "alice", "roles": []string{"admin"}})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		w := httptest.NewRecorder()
		greet(w, r.WithContext(core.WithToken(r.Context(), token)))
		if got, want := w.Body.String(), "hello alice, admin: true"; got != want {
			t.Errorf("greet answers %q, want %q", got, want)
		}
	}
}
