// Package storetest defines what a store is, as a suite of tests: a store is what passes
// [Run]. Use it for every store that you write:
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
// A store whose events outlive it passes [RunDurable] too, and one that is in front of a
// database or a server, which may refuse to write, passes [RunRefused].
//
// Each sentence of the contract in package store is a clause, and each clause is a subtest
// whose name says what it demands, such as
// "Contention/exactly one of 8 concurrent creates wins".
//
// The packages below are the instruments of such tests: faults makes a store fail, history
// records calls and checks their answers, schedule tries every order of the calls of several
// clients, and wire breaks connections.
package storetest
