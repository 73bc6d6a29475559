package core

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/trust"
)

// Routes are the paths of the routes, relative to the mount. "" means the
// default path, [Off] no such route.
type Routes struct {
	Login    string // /auth/v2/login
	Callback string // /auth/v2/callback
	Token    string // /auth/v2/token
	Device   string // /auth/v2/device
	Logout   string // /auth/v2/logout
	Userinfo string // /auth/v2/userinfo

	Session string // /auth/v2/session, with Config.Browser only

	// With a Broker only:

	Revoke              string // /auth/v2/revoke
	Introspect          string // /auth/v2/introspect, with Broker.ResourceServers only
	BackchannelLogout   string // /auth/v2/backchannel-logout
	JWKS                string // /auth/v2/.well-known/jwks.json
	OpenIDConfiguration string // /.well-known/openid-configuration
	AuthorizationServer string // /.well-known/oauth-authorization-server
	ProtectedResource   string // /.well-known/oauth-protected-resource, and below it; see Broker.Resources
}

// Off switches a route off: Routes{Device: core.Off}.
const Off = "-"

// route is a row of the table of routes. Whatever there is to know about a route, but
// for what it does, is in its row.
type route struct {
	field   string // of Routes
	name    string // of Endpoint
	path    string // by default
	methods []string
	member  string // of the metadata document (RFC 8414 2); "": it names no such route

	broker bool              // there in broker mode only
	needs  func(Config) bool // what else it is there for; nil: nothing
	meant  bool              // a browser that only prefetches is held off
	root   bool              // also at the root of the host, the well-known part first (RFC 8414 3.1)

	serve func(*Auth, http.ResponseWriter, *http.Request) error
	parts func(Config) []part // in the place of serve: the endpoints of a row with any number of them
	// fail answers an error where a person comes with a browser, who is shown a page; nil: as WriteError.
	fail func(*Auth, http.ResponseWriter, *http.Request, error)
}

// part is one endpoint of a row.
type part struct {
	mounted string // what follows the row's path below the mount
	rooted  string // what follows the well-known part at the root of the host
	serve   func(*Auth, http.ResponseWriter, *http.Request) error
}

// partsOf are the endpoints of a row.
func (c Config) partsOf(row route) []part {
	if row.parts != nil {
		return row.parts(c)
	}
	return []part{{rooted: pathOf(c.PublicURL), serve: row.serve}}
}

// Where clients look for a broker's documents, unless they are told otherwise.
const (
	peerKeys                = trust.PeerKeys
	openIDPath              = "/.well-known/openid-configuration"       // OpenID Connect Discovery 4
	authorizationServerPath = "/.well-known/oauth-authorization-server" // RFC 8414 3
	protectedResourcePath   = "/.well-known/oauth-protected-resource"   // RFC 9728 3
)

// routeTable has all routes, in the order of [Auth.Endpoints]. It is a function since
// some routes tell about the others.
func routeTable() []route {
	get, read, post := []string{"GET"}, []string{"GET", "HEAD"}, []string{"POST"}
	return []route{
		{field: "Login", name: "login", path: "/auth/v2/login", methods: get, meant: true, serve: (*Auth).serveLogin, fail: (*Auth).writePage},
		{field: "Callback", name: "callback", path: "/auth/v2/callback", methods: get, meant: true, serve: (*Auth).serveCallback, fail: (*Auth).failCallback},
		{field: "Token", name: "token", path: "/auth/v2/token", methods: post, member: "token_endpoint", serve: (*Auth).serveToken},
		{field: "Device", name: "device", path: "/auth/v2/device", methods: post, member: "device_authorization_endpoint", serve: (*Auth).serveDevice},
		{field: "Logout", name: "logout", path: "/auth/v2/logout", methods: []string{"GET", "POST"}, member: "end_session_endpoint", meant: true, serve: (*Auth).serveLogout, fail: (*Auth).failLogout},
		{field: "Userinfo", name: "userinfo", path: "/auth/v2/userinfo", methods: []string{"GET", "HEAD", "POST"}, member: "userinfo_endpoint", serve: (*Auth).serveUserinfo},
		{field: "Session", name: "session", path: "/auth/v2/session", methods: get, broker: true, needs: Config.hasBrowsers, serve: (*Auth).serveSession},
		{field: "Revoke", name: "revoke", path: "/auth/v2/revoke", methods: post, member: "revocation_endpoint", broker: true, serve: (*Auth).serveRevoke},
		{field: "Introspect", name: "introspect", path: "/auth/v2/introspect", methods: post, member: "introspection_endpoint", broker: true, needs: Config.introspects, serve: (*Auth).serveIntrospect},
		{field: "BackchannelLogout", name: "backchannel-logout", path: "/auth/v2/backchannel-logout", methods: post, broker: true, serve: (*Auth).serveBackchannelLogout},
		{field: "JWKS", name: "jwks", path: peerKeys, methods: read, member: "jwks_uri", broker: true, serve: (*Auth).serveJWKS},
		// One document in two places: each kind of client looks in one of them.
		{field: "OpenIDConfiguration", name: "metadata", path: openIDPath, methods: read, broker: true, root: true, serve: (*Auth).serveMetadata},
		{field: "AuthorizationServer", name: "metadata", path: authorizationServerPath, methods: read, broker: true, root: true, serve: (*Auth).serveMetadata},
		{field: "ProtectedResource", name: "resource-metadata", path: protectedResourcePath, methods: read, broker: true, root: true, parts: resourceParts},
	}
}

// isIn reports whether a configuration has the route.
func (row route) isIn(c Config) bool {
	switch {
	case *c.Routes.of(row) == Off, row.broker && c.Broker == nil:
		return false
	}
	return row.needs == nil || row.needs(c)
}

// of is the path of a row's route.
func (r *Routes) of(row route) *string {
	return reflect.ValueOf(r).Elem().FieldByName(row.field).Addr().Interface().(*string)
}

func (r *Routes) setDefaults() {
	for _, row := range routeTable() {
		setDefault(r.of(row), row.path)
	}
}

func (r *Routes) check() []error {
	var problems []error
	seen := map[string]string{}
	for _, row := range routeTable() {
		path := *r.of(row)
		if path == Off {
			continue
		}
		if !validPath(path) {
			problems = append(problems, fmt.Errorf("Config.Routes.%s %q must begin with a slash and have letters, digits, and the characters -._~/ only", row.field, path))
		}
		if other, taken := seen[path]; taken {
			problems = append(problems, fmt.Errorf("Config.Routes.%s and Config.Routes.%s are both %q", other, row.field, path))
		}
		seen[path] = row.field
	}
	return problems
}

// validPath keeps out what a router would take for a pattern and what a proxy
// would normalize.
func validPath(path string) bool {
	for _, r := range path {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~/", r) {
			return false
		}
	}
	if len(path) < 2 || path[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}
