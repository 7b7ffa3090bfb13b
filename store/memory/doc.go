// Package memory is a store that keeps everything in the memory of its process. Use it
// for tests, and for programs whose events need not outlive the process. It is also the
// reference for the durable stores. It has every capability: [store.Log],
// [store.Tenants], [store.Snapshots], [store.Checkpoints], [store.Documents],
// [store.Claims], [store.Leases] and [store.Finder], and transactions with
// [Store.Update].
//
// It keeps values ([store.Event.Value]) without encoding them. A read with ReadOnly
// returns a view of the store's memory, which costs the same for any number of events
// and allocates nothing.
//
// The store never removes events. When you are done with a [Store], you can drop it
// without calling [Store.Close], which only ends its subscriptions.
package memory
