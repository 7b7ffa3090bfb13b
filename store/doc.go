// Package store is the port between evolve and the stores that keep events. It defines
// what a store is ([Store], [Log] and the optional capabilities [Tenants], [Snapshots],
// [Checkpoints], [Documents], [Claims], [Leases] and [Finder]), the data that passes
// through it, and its errors. It depends only on the standard library.
//
// # Streams and the log
//
// A stream holds the events of one aggregate. Their versions are 1, 2, 3, … without a
// gap. A store with a [Log] also keeps all events of a tenant in one order, by
// position. Positions strictly increase and may have gaps. The order is gap-safe: after
// you have seen position p, no new event appears at or below p.
//
// # Appending
//
// An append states the version that it expects the stream to have, as an [Expected].
// The store checks this condition atomically with the append. It records all events of
// an append or none. Event ids are unique in a tenant, which makes appends idempotent:
// see [Store].
//
// # Transactions
//
// A store with transactions has a method Update. Its [Tx] writes events, checkpoints,
// documents and, in a database, your own tables in one commit. If you write a read
// model and its checkpoint this way, the read model applies each event exactly once.
//
// # Conformance
//
// Package storetest defines what a store must do: a type is a store if it passes
// storetest.Run.
package store
