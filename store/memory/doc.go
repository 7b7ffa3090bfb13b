// Package memory is a store that keeps everything in the memory of its process. Use it
// for tests, and for programs whose events need not outlive the process. It is also the
// reference for the durable stores. It has every capability: [store.Log],
// [store.Tenants], [store.Snapshots], [store.Checkpoints], [store.Documents],
// [store.Claims], [store.Leases] and [store.Finder], and transactions with
// [Store.Update].
//
// It keeps values ([store.Event.Value]) without encoding them. As a [store.ValueReader] it
// returns a view of the values of a stream, which costs about the same for any number of
// events and allocates nothing. A read with ReadOnly returns views of the data of events.
//
// The store never removes events. When you are done with a [Store], you can drop it
// without calling [Store.Close], which only ends its subscriptions.
package memory
