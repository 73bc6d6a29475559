package core_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestEveryRouteRefusesOtherMethodsWithAllow(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}))
	allowed := map[string][]string{
		"login": {"GET"}, "callback": {"GET"}, "token": {"POST"}, "device": {"POST"}, "logout": {"GET", "POST"}, "userinfo": {"GET", "HEAD", "POST"},
	}
	endpoints := a.auth.Endpoints()
	require.Len(t, endpoints, len(allowed))
	for _, e := range endpoints {
		require.Equal(t, allowed[e.Name], e.Methods)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
			if slices.Contains(allowed[e.Name], method) {
				continue
			}
			req, err := http.NewRequest(method, a.api+e.Path, nil)
			require.NoError(t, err)
			got := a.do(browser(), req)
			require.Equal(t, http.StatusMethodNotAllowed, got.StatusCode, "%s %s", method, e.Name)
			want := ""
			for i, method := range allowed[e.Name] {
				if i > 0 {
					want += ", "
				}
				want += method
			}
			require.Equal(t, want, got.Header.Get("Allow"))
			if method != "HEAD" {
				requireError(t, got, http.StatusMethodNotAllowed, "invalid_request")
			}
		}
	}
}

// A field of Routes moves one route, or switches it off, and all that tells of routes
// follows.
func TestEveryFieldOfRoutesIsOneRoute(t *testing.T) {
	fields := reflect.TypeFor[core.Routes]()
	paths := func(c core.Config) (all []string) {
		c.Broker, c.Browser = &core.Broker{ResourceServers: []core.Client{{ID: "orders", Secret: aSecret}}}, &core.Browser{}
		auth, err := core.New(c)
		require.NoError(t, err)
		defer auth.Close()
		for _, e := range auth.Endpoints() {
			all = append(all, e.Path)
		}
		return all
	}
	standard := paths(validConfig())
	require.Len(t, standard, fields.NumField())
	for i := range fields.NumField() {
		for _, path := range []string{"/moved", core.Off} {
			config := validConfig()
			reflect.ValueOf(&config.Routes).Elem().Field(i).SetString(path)
			if needed := []string{"Login", "Callback", "Token", "Logout"}; path == core.Off && slices.Contains(needed, fields.Field(i).Name) {
				continue // browser sessions have to have them
			}
			want := slices.Clone(standard)
			want[i] = path
			require.Equal(t, slices.DeleteFunc(want, func(path string) bool { return path == core.Off }), paths(config), fields.Field(i).Name)
		}
		config := validConfig()
		reflect.ValueOf(&config.Routes).Elem().Field(i).SetString("nowhere")
		_, err := core.New(config)
		require.ErrorContains(t, err, "Config.Routes."+fields.Field(i).Name)
	}
}

func TestRoutesMoveAndSwitchOff(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), func(c *core.Config) {
		c.Routes = core.Routes{Login: "/signin", Callback: "/back", Device: core.Off, Logout: core.Off, Userinfo: "/me"}
	})
	paths := map[string]string{}
	for _, e := range a.auth.Endpoints() {
		paths[e.Name] = e.Path
	}
	require.Equal(t, map[string]string{"login": "/signin", "callback": "/back", "token": "/auth/v2/token", "userinfo": "/me"}, paths)

	tokens := a.provider.SignIn(t, a.api+"/signin", "alice")
	require.Equal(t, "alice", a.get(browser(), "/me", "Authorization: Bearer "+tokens.AccessToken).json["username"])
	require.Equal(t, http.StatusNotFound, a.get(browser(), "/auth/v2/login").StatusCode)

	off := newApp(t, a.provider, func(c *core.Config) { c.Routes.Callback = core.Off })
	requireError(t, off.get(browser(), "/auth/v2/login"), http.StatusBadRequest, "invalid_request")
}
