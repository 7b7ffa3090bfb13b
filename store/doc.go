// Package store is the port between evolve and the stores that keep events. It
// defines what a store is ([Store], [Log] and the optional capabilities
// [Tenants], [Snapshots], [Checkpoints], [Documents], [Claims], [Leases] and [Finder]), the
// data that moves through it, and its errors; it needs the standard library only.
//
// # Streams and the log
//
// A stream holds the events of one aggregate. Their versions are 1, 2, 3, …
// without a gap. A store with a [Log] also has all events of a tenant in one
// order, by position. Positions strictly increase and may have gaps. They are
// gap-safe: after you have seen position p, no new event appears at or below p.
//
// # Appending
//
// An append names the version that it expects the stream to have, as an [Expected].
// The store checks this condition atomically with the append. It records all events
// of an append or none. Event ids are unique in a tenant, which makes appends
// idempotent: see [Store].
//
// # Transactions
//
// A store with transactions has a method Update, whose [Tx] writes events,
// checkpoints, documents and, where there is a database, the caller's own tables in
// one commit. If you write a read model and its checkpoint in this way, the read model
// has each event exactly once.
//
// # What a store must do
//
// Package storetest defines it: a store is what passes storetest.Run.
package store
