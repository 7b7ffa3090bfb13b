// Package storetest defines what a store is, as a test suite: a type is a store if it
// passes [Run]. Use it for every store that you write:
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		storetest.Run(t, func(t *testing.T) store.Store {
//			st, err := sqlite.Open(filepath.Join(t.TempDir(), "events.db"))
//			if err != nil {
//				t.Fatal(err)
//			}
//			t.Cleanup(func() { st.Close() })
//			return st
//		})
//	}
//
// A store whose events outlive the process must also pass [RunDurable]. A store in
// front of a database or a server that may refuse writes must also pass [RunRefused].
//
// Each sentence of the contract in package store is a clause. Each clause is a subtest
// whose name states the requirement, such as "Contention/exactly one of 8 concurrent
// creates wins".
//
// The subpackages are the tools for such tests: faults makes a store fail, history
// records calls and checks their results, schedule tries every order of the calls of
// several clients, and wire breaks connections.
package storetest
