// Package store is the port between evolve and the stores that keep events. It
// defines what a store is ([Store], [Log] and the optional capabilities
// [Tenants], [Snapshots], [Checkpoints], [Documents], [Claims] and [Leases]), the data that
// moves through it, and its errors; it needs the standard library only.
//
// # Streams and the log
//
// A stream holds the events of one aggregate. Their versions are 1, 2, 3, …
// without a gap. A store with a [Log] also has all events of a tenant in one
// order, by position: positions strictly increase, may have gaps, and are
// gap-safe: whoever has seen position p will never find a new event at p or
// below.
//
// # Appending
//
// An append names the version that it expects the stream to have, as an
// [Expected]; this is a condition of the append, checked atomically with it.
// All events of an append are recorded or none. Event ids are unique in a
// tenant, which makes appends idempotent: see [Store].
//
// # Transactions
//
// A store with transactions has a method Update, whose [Tx] writes events,
// checkpoints, documents and, where there is a database, the caller's own tables in
// one commit. A read model and its checkpoint that are written so have each event
// exactly once.
//
// # What a store must do
//
// Package storetest is the definition: a store is what passes storetest.Run.
package store
