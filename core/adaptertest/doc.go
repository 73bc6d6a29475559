// Package adaptertest tests whether an adapter gives the same answers as core. The author of
// an adapter writes one test:
//
//	func TestAdapter(t *testing.T) {
//		adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
//			router := myrouter.New()
//			myauth.Mount(router, app.Prefix, app.Auth)
//			for _, e := range app.Auth.RootEndpoints() {
//				router.Handle(e.Path, e.Handler)
//			}
//			for _, route := range app.Routes {
//				guards := adaptertest.Guards(app.Auth, route, myauth.Required, myauth.Optional, myauth.Pages)
//				router.With(guards...).Method(route.Method, app.Prefix+route.Path, route)
//			}
//			adaptertest.Serve(t, listener, router)
//		})
//	}
//
// # What is tested
//
// Each rule is a subtest; its name is the rule. The suite speaks HTTP with an application
// that signs its users in at a provider of [core/oidctest]. It tests
//
//   - every route in both modes, and every error that a request can cause
//   - prefixes, moved routes, methods, and parameters in the wrong place
//   - browser sessions: the cookie, headers that tell whose page sends a request, redirects and
//     pages of errors
//   - bodies that are too large, slow, chunked or cut off, and tokens of the maximum length
//   - handlers that panic
//   - hundreds of requests of different users on few connections
//
// Every answer is compared with core's own answer. It must have the same status, the same
// body, and the same values of core's headers. Headers that the router adds are ignored.
//
// The suite does not sleep and uses no fixed ports, and its subtests don't depend on order.
// The package depends only on the standard library, core and oidctest.
//
// [core/oidctest]: https://pkg.go.dev/github.com/oidcgate/oidcgate/core/oidctest
package adaptertest
