package core

// Routes are the paths of the routes, relative to the mount. "" means the
// default path, [Off] no such route.
type Routes struct {
	Login    string // /auth/v2/login
	Callback string // /auth/v2/callback
	Token    string // /auth/v2/token
	Device   string // /auth/v2/device
	Logout   string // /auth/v2/logout
	Userinfo string // /auth/v2/userinfo

	// With a Broker only:

	JWKS                string // /auth/v2/.well-known/jwks.json
	OpenIDConfiguration string // /.well-known/openid-configuration
	AuthorizationServer string // /.well-known/oauth-authorization-server
}
