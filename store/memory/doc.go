// Package memory is a store that keeps everything in the memory of its process. Use it
// for tests, and for programs whose events need not outlive them. It is also the
// reference for the durable stores. It has every capability: [store.Log], [store.Tenants],
// [store.Snapshots], [store.Checkpoints], [store.Documents], [store.Claims],
// [store.Leases] and [store.Finder], and transactions by [Store.Update].
//
// It keeps values ([store.Event.Value]) as they are. A read with ReadOnly gets a view of
// what the store keeps: such a page costs the same however long it is, and no allocation.
//
// The store never removes events. When you are done with a [Store], you can drop it
// without [Store.Close], which only ends its subscriptions.
package memory
