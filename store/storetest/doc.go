// Package storetest is the definition of a store, as a suite of tests: a store is
// what passes [Run]. It is for everybody who writes a store, in this module or
// not:
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
// A store that keeps events where they outlive it passes [RunDurable] too.
//
// Every sentence of the contract in package store is a clause, and every clause a
// subtest that is named by what it demands, such as
// "Contention/of 8 concurrent creates exactly one wins".
package storetest
