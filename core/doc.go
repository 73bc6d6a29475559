// Package core is OpenID Connect for a web application: the routes that sign
// users in at a provider, and guards for the application's own routes. It
// knows no router and no database; the adapters chiauth, stdauth, fiberauth,
// ginauth and echoauth put it on chi, net/http, Fiber, Gin and Echo, and for any
// other router an adapter is made of [Auth.Endpoints] and [Guard.Check].
//
// # The story
//
// [New] checks a [Config] and makes an [Auth]. The application mounts its
// endpoints under a prefix and tells, in Config.PublicURL, by which URL the
// world knows that place. A browser that comes to the login route is sent to
// the provider with a PKCE challenge, a nonce and a sealed state; the user
// signs in; the provider sends the browser back with a code; and the callback
// route, or the token route, redeems the code, checks the ID token and answers
// with tokens. Devices without a browser ask the device route for a code that
// the user types elsewhere, and poll the token route.
//
// The client then sends the access token with each request. A [Guard], made by
// [Auth.Required] or [Auth.Optional], verifies it, holds it against its
// constraints ([Scopes], [AnyRole], [Claim]) and puts the [Token] in the context of
// the request, where [TokenFrom] finds it. A verified token is remembered, so that
// the next request with it costs little more than a hash. Besides the provider's
// tokens a guard takes those of Config.TrustedIssuers and, with
// Provider.Introspection, opaque ones.
//
// # Who keeps a login safe
//
// A code is only ever redeemed together with a proof that it is redeemed by
// whoever began the login. There are two ways. A client that does PKCE itself
// (RFC 7636), as any OAuth library can, sends its own code_challenge to the
// login route and its code_verifier to the token route. For everybody else we
// do it: the state parameter is a sealed box with the verifier in it, good for
// ten minutes, and bound to the browser by a cookie. For programs that listen on
// loopback there is no cookie: there, a sealed state together with its code is
// enough to redeem it, and PKCE of the client's own closes that gap.
//
// # Tokens of the application's own
//
// Without more, clients have the provider's tokens in their hands (passthrough
// mode). With a [Broker] in its Config the application is an issuer itself: after
// the provider's login it mints short-lived access tokens of its own, publishes
// the keys to verify them with, and keeps the provider's refresh token sealed in
// a store (package store). Clients refresh with an opaque token that changes with each use, and
// of which a copy in the wrong hands gives itself away. Stores are memory (of
// this process), databases in modules of their own, or whatever implements the
// interface and passes the tests of store/storetest.
//
// # Errors
//
// Every failure is an [Error], answered as JSON with error, error_description
// and detail. No error, log line or [Event] contains a token, a code, a secret
// or a key.
//
// # What it needs
//
// Nothing is called when an Auth is made. The provider's discovery document and
// keys are fetched, and the store is opened, at first use or by [Auth.Start]; each
// by one call at a time. Documents stay in use for a day while the provider is
// down: known keys go on verifying. Until keys are known the guards answer 503.
package core
