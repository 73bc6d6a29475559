// Package oidctest is a real OpenID provider for tests:
//
//	func TestOrders(t *testing.T) {
//		provider := oidctest.New(t, oidctest.Options{})
//		app := httptest.NewServer(newApp(provider.Issuer, provider.ClientID, provider.ClientSecret))
//		defer app.Close()
//
//		tokens := provider.SignIn(t, app.URL+"/api/auth/v2/login", "alice")
//		// … request app.URL+"/api/orders" with tokens.AccessToken
//	}
//
// It is to OpenID Connect what [net/http/httptest] is to HTTP. [New] starts a provider on a
// free port and stops it when the test ends. It issues real codes and signed tokens over
// real connections. There is one client, and by default there are two users: alice, an
// administrator, and bob.
//
// # What it supports
//
//   - the authorization code flow of OpenID Connect Core 1.0 with PKCE (RFC 7636), nonce,
//     max_age, login_hint, id_token_hint, and the prompts none, login and select_account
//   - the device flow (RFC 8628)
//   - refresh tokens, with or without the scope offline_access
//   - userinfo, introspection (RFC 7662), revocation (RFC 7009) and logout (RP-Initiated
//     Logout 1.0)
//
// The discovery document announces exactly this. A user stays signed in at the provider as
// long as the browser keeps its cookie. A logout and [Provider.EndSessions] end refresh
// tokens, too. Access tokens are valid until they expire or are revoked.
//
// # Ways to sign in
//
// [Provider.SignIn] makes the whole login of an application. [Provider.Authorize] stops
// before the application's callback. [Provider.AccessToken] returns a token without a
// login. [Provider.Device] does what a user does on the device page. The pages also work in
// a browser.
//
// # Outside of tests
//
// A program such as a demo has no [testing.TB]. It starts a provider with [Start] and gets
// tokens from [Provider.Issue] and [Provider.Sign], which return errors. New, AccessToken
// and SignedToken do the same for tests, and end the test on an error.
//
// # Failures
//
// [Provider.Down] cuts every connection. [Provider.Delay] delays answers.
// [Provider.RotateKeys] and [Provider.ReplaceKey] replace the signing key.
// [Provider.EndSessions] invalidates refresh tokens. [Provider.Answer] changes the answers of
// one endpoint in any way. [Provider.Sign] makes tokens as an attacker would.
// [Provider.Requests] counts the application's requests.
//
// # Not for production
//
// The provider shows its users' passwords to everyone, speaks plain HTTP, keeps everything
// in memory, and has no protection against attacks.
package oidctest
