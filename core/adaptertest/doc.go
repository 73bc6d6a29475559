// Package adaptertest tells whether an adapter puts core on its router so that
// nobody can tell the router from the answers. The author of an adapter writes
// one test:
//
//	func TestAdapter(t *testing.T) {
//		adaptertest.Run(t, func(t *testing.T, listener net.Listener, app adaptertest.App) {
//			router := myrouter.New()
//			myauth.Mount(router, app.Prefix, app.Auth)
//			for _, e := range app.Auth.RootEndpoints() {
//				router.Handle(e.Path, e.Handler)
//			}
//			for _, route := range app.Routes {
//				guards := adaptertest.Guards(app.Auth, route, myauth.Required, myauth.Optional)
//				router.With(guards...).Method(route.Method, app.Prefix+route.Path, route)
//			}
//			adaptertest.Serve(t, listener, router)
//		})
//	}
//
// # What it holds
//
// Each rule is a subtest whose name is the rule. The suite speaks HTTP, over
// connections of its own, with an application that signs its users in at a
// provider of [core/oidctest]: every route in both modes, every error that can be
// provoked from outside, prefixes, moved routes, methods, parameters in the wrong
// place, bodies that are too large, slow, chunked or cut off, tokens as long as they
// may be, handlers that panic, and hundreds of requests of different users on few
// connections. What core would answer by itself is the measure: an answer must have
// the same status, the same body, and core's headers with the same values. Headers
// that a router adds of its own are not looked at.
//
// There is no sleeping, no fixed port and no order between subtests. The package
// needs no more than the standard library, core and oidctest.
//
// [core/oidctest]: https://pkg.go.dev/github.com/oidcgate/oidcgate/core/oidctest
package adaptertest
