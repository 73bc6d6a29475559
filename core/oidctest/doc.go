// Package oidctest is an OpenID provider inside the test process, for tests of
// applications that people sign in to. It is to OpenID Connect what
// [net/http/httptest] is to HTTP: [New] starts a real provider on a port of its
// own, which issues real codes and signed tokens over real connections, and stops
// it when the test ends.
//
//	func TestOrders(t *testing.T) {
//		provider := oidctest.New(t, oidctest.Options{})
//		app := httptest.NewServer(newApp(provider.Issuer, provider.ClientID, provider.ClientSecret))
//		defer app.Close()
//
//		tokens := provider.SignIn(t, app.URL+"/auth/login", "alice")
//		// … request app.URL+"/orders" with tokens.AccessToken
//	}
//
// There is one client and, if [Options] names no others, two users: alice, who is
// an administrator, and bob, who is not.
//
// # What it offers
//
// The authorization code flow of OpenID Connect Core 1.0 with PKCE (RFC 7636),
// with nonce, max_age, login_hint, id_token_hint and the prompts none, login and
// select_account; the device flow (RFC 8628); refresh tokens, which are given out
// whether or not offline_access is asked for; userinfo, introspection (RFC 7662),
// revocation (RFC 7009) and logout (RP-Initiated Logout 1.0). The discovery
// document announces just that. Whoever has signed in stays signed in at the
// provider for as long as the browser keeps its cookie.
//
// A logout, and [Provider.EndSessions], end refresh tokens as well. Access tokens
// are good until they expire or are revoked.
//
// # Ways to sign in
//
// [Provider.SignIn] walks through the whole login of an application.
// [Provider.Authorize] stops before the application's callback, for tests of what
// happens there. [Provider.AccessToken] skips the browser, for tests of what comes
// after. [Provider.Device] is the person in front of a device. A person can use a
// browser too: the pages are made for it.
//
// # Outside of tests
//
// A program that serves developers, such as a demonstration, has no [testing.TB]. It
// starts its provider with [Start], and gets tokens from [Provider.Issue] and
// [Provider.Sign], which return errors. New, AccessToken and SignedToken are the
// same for tests, which they end on an error.
//
// # Trouble
//
// Providers fail, and applications have to be tested for that. [Provider.Down]
// cuts every connection, [Provider.Delay] makes answers late,
// [Provider.RotateKeys] and [Provider.ReplaceKey] replace the signing key,
// [Provider.EndSessions] makes refresh tokens useless, and [Provider.Answer] changes
// the answers of a single endpoint in any way. [Provider.Sign] makes tokens as an
// attacker would want them. [Provider.Requests] tells how often the application has
// asked.
//
// # Not for production
//
// The provider shows everybody its users' passwords, speaks plain HTTP, keeps
// everything in memory and defends itself against nobody.
package oidctest
