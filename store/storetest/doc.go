// Package storetest tells whether a [store.Store] does what its contract says.
// The author of a store writes one test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) func() store.Store {
//			file := filepath.Join(t.TempDir(), "records.db")
//			return func() store.Store { return mystore.New(file) }
//		})
//	}
//
// The outer function makes an empty place for records, such as a new file or a
// schema of its own in a database, and leaves it to t to remove it. The inner one
// gives a new [store.Store] for that place, on which Open has not been called; the
// suite takes up to ten, to see what happens when several processes share the
// place. Where records live in a value of the program and not outside of it,
// there is just that value to give, each time the same. It must then bear calls
// after a Close.
//
// # What it holds
//
// Each rule is a subtest whose name is the rule: what is put comes back byte by
// byte; of two who change one version one wins; pages are in the order of bytes,
// and complete even while others write; Purge goes by the time it is given, to the
// millisecond; an ended context ends each call; several handles may be opened at
// once and see the same records. In the end random operations are held against a
// model that is a map.
//
// # Over a network
//
// A store that talks to a server has two more tests. [RunNetwork] puts a [Proxy]
// before the server, has connections hang and break, and loses answers after the
// server has done the work. [RunUnusable] has stores that somebody has to correct,
// such as one with a wrong password.
//
// # Limits
//
// A store may drop records by an expiry of its own. The suite therefore gives
// expiries in the future to what it wants to see again.
//
// Every call has a time limit of its own, so that a store which hangs, but obeys
// its context, fails instead. There is no sleeping and no order between subtests.
// A run makes some ten thousand calls. The package needs no more than the standard
// library.
package storetest
