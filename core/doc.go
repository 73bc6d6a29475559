// Package core adds OpenID Connect to a web application: routes that sign users in at a
// provider, and guards that reject requests without a valid access token:
//
//	func main() {
//		auth, err := core.New(core.Config{
//			Providers: []core.Provider{{Issuer: "https://id.example.org/realms/demo", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET")}},
//			PublicURL: "http://localhost:8000/api",
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		for _, e := range auth.Endpoints() {
//			mux.Handle("/api"+e.Path, e.Handler)
//		}
//		mux.Handle("GET /api/me", auth.Required().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			fmt.Fprintln(w, "hello", core.TokenFrom(r.Context()).Username())
//		})))
//		log.Fatal(http.ListenAndServe("localhost:8000", mux))
//	}
//
// The adapters chiauth, stdauth, fiberauth, ginauth and echoauth do the mounting on chi,
// net/http, Fiber, Gin and Echo. For any other router, write an adapter with
// [Auth.Endpoints] and [Guard.Check]. Core depends on no router and no database.
//
// # How a login works
//
// [New] checks a [Config] and returns an [Auth]. The application mounts its endpoints below
// a prefix; Config.PublicURL is the external URL of that place. The login route redirects
// the browser to the provider, with a PKCE challenge, a nonce and an encrypted state. The
// user signs in, and the provider redirects the browser back with a code. The callback
// route or the token route redeems the code, checks the ID token and answers with tokens.
// The callback route answers with a cookie where browsers have sessions (see below).
// A device without a browser asks the device route for a code, which the user enters
// elsewhere, and polls the token route.
//
// # How a request is checked
//
// The client sends the access token with each request. A [Guard] from [Auth.Required],
// [Auth.Optional] or [Auth.Pages] verifies the token, checks its constraints ([Scopes],
// [AnyRole], [Claim]), and puts the [Token] into the request's context, where [TokenFrom]
// finds it.
// Verified tokens are cached, so the next request with the same token costs little more
// than a hash. Guards accept the tokens of the provider and of Config.TrustedIssuers. With
// Provider.Introspection they also accept opaque tokens.
//
// # Browser sessions
//
// With a [Browser] in the Config, a login ends on a page of the application, and the browser
// gets a cookie instead of tokens. The tokens stay in the session, at the application. Guards
// accept the cookie of a request that has no Authorization header; an Authorization header
// decides alone. So one route serves browsers and programs.
//
// [Auth.Pages] makes a guard for pages. It redirects people who are not signed in to the login
// route, and the callback route leads back to the page. Its errors are pages. Scripts get the
// answers of Required: 401 instead of a redirect.
//
// Guards answer 403 ([ErrCrossSite]) to what a page of another origin sends by cookie: forms,
// calls of scripts, and handshakes of websockets. So forms need no hidden token. Links from
// elsewhere work, so a GET must change nothing. Browser.AllowOrigins lists exceptions.
//
// The session route tells a page who is signed in, and never gives a token. A form that is
// posted to the logout route ends the session here and at the provider:
//
//	<form method="post" action="/api/auth/v2/logout"><button>Sign out</button></form>
//
// When Broker.TokenLifetime has passed, the next request refreshes the session at the
// provider. While the provider is down, the session goes on for Browser.StaleFor.
//
// # How a login is protected
//
// A code is redeemed only with proof from whoever began the login. There are two ways:
//
//   - The client does PKCE (RFC 7636), as any OAuth library can. It sends its code_challenge
//     to the login route and its code_verifier to the token route.
//   - Otherwise the login route does PKCE. The state contains the verifier, encrypted. It
//     is valid for ten minutes, and a cookie binds it to the browser. Programs that listen
//     on loopback have no cookie: there, anyone with the state and its code can redeem it.
//     PKCE by the client closes that gap.
//
// # Broker mode
//
// Without a [Broker], clients get the provider's tokens (passthrough mode). With a Broker in
// the Config, the application is an issuer itself. After the provider's login it issues its
// own short-lived access tokens, publishes the keys that verify them, and keeps the
// provider's refresh token, encrypted, in a store (package store). Clients refresh with an
// opaque token that changes at each use. Reuse of a stolen refresh token ends the session.
//
// # Errors
//
// Every failure is an [Error]. It is answered as JSON with error, error_description and
// detail, or to a person with a page. No error, log line or [Event] contains a token, a code, a secret or a key.
//
// # Network calls
//
// [New] makes no call. The provider's discovery document and keys are fetched, and the store
// is opened, when they are first needed or by [Auth.Start]; there is one call at a time for
// each. While the provider is down, documents and keys stay in use for a day. Until keys are
// known, guards answer 503.
package core
