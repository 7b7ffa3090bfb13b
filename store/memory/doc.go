// Package memory is a store that keeps everything in the memory of its process:
// for tests, for programs that need nothing to outlive them, and as the plain
// reading of the contract of package store that the durable stores are compared
// with. It has every capability there is: [store.Log], [store.Tenants],
// [store.Snapshots], [store.Checkpoints], [store.Documents], [store.Claims] and
// [store.Leases], and transactions by [Store.Update].
//
// It keeps values ([store.Event.Value]) as they are, and lends what it keeps to
// those who read with ReadOnly: such a page costs the same however long it is,
// and no allocation.
//
// Nothing is ever removed. When a program is done with a [Store], it can drop it
// without [Store.Close], which is for ending its subscriptions.
package memory
