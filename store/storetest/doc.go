// Package storetest tests whether a [store.Store] keeps its contract. The author of a store
// writes one test:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) func() store.Store {
//			file := filepath.Join(t.TempDir(), "records.db")
//			return func() store.Store { return mystore.New(file) }
//		})
//	}
//
// The outer function makes an empty place for records, such as a new file or a new schema
// in a database. It uses t.Cleanup to remove it. The inner function returns a new
// [store.Store] for that place, before Open. The suite takes up to ten of them to test
// several processes that share the place. If the records live in a value of the program,
// the inner function returns that same value each time. Its methods must then work after a
// Close.
//
// # What is tested
//
// Each rule is a subtest; its name is the rule. Some of them: a record comes back byte by
// byte. If two callers change one version, one wins. Pages are in byte order, and complete
// even while others write. Purge uses the time that it is given, to the millisecond. An
// ended context ends each call. Several stores may be opened at once and see the same
// records. At the end, random operations are compared with a model, which is a map.
//
// # Over a network
//
// A store that talks to a server has two more tests. [RunNetwork] puts a [Proxy] before the
// server. Connections hang and break, and answers are lost after the server has done the
// work. [RunUnusable] takes stores with a wrong configuration, such as a wrong password.
//
// # Limits
//
// A store may drop expired records by itself. So the suite gives records that it wants to
// read again an expiry in the future.
//
// Every call has a time limit, so a store that hangs but obeys its context fails instead.
// The suite does not sleep, and its subtests don't depend on order. A run makes about ten
// thousand calls. The package depends only on the standard library.
package storetest
