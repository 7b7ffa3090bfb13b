// Package grpc is a client of the eventstore.v1 protocol: a [Store] is a
// [store.Store] and a [store.Log] on a server. Package
// [github.com/evolvego/evolve/store/grpc/server] is the server, and
// [github.com/evolvego/evolve/store/grpc/eventstorev1] has the messages.
//
//	program in Go                                   backend: memory, SQLite, PostgreSQL
//	    │ store.Store, store.Log                            │ store.Store, store.Log
//	┌───┴────────┐          eventstore.v1           ┌───────┴───────┐
//	│ grpc.Store ├───────────────┬─────────────────▶│ server.Server │
//	└───┬────────┘               │                  └───────────────┘
//	    │          programs in Python, TypeScript, Rust, …
//	    │
//	    └─────────────────────────▶ any other server of eventstore.v1
//
// With a server of package server, the store that [Open] returns is as good as the
// one behind the server: it passes all of package storetest. Snapshots, checkpoints,
// claims and leases are not in the protocol, so a [Store] has none; keep them at the
// backend, or in a store of their own.
//
// # Other servers
//
// The client works with other servers of the protocol too, and trusts them as little
// as it can. It checks every page, and asks for pages until it has seen the end; it
// sends a second request for the head of a stream or log if the answer does not show
// it; and it recognizes a conflict in whatever form it comes. What such a server
// cannot do, the client does in its place where that is possible: it filters the log,
// it looks up the version for an append that expects none in particular, and when it
// sends an append again because no answer came, or a server refuses one without a
// reason, it reads the stream to learn what happened to the events. What it cannot do
// for such a server:
//
//   - tell apart two streams that have one id and different types (that is an error)
//   - notice that an event's id is taken in another stream
//   - recognize a batch that was appended before if it now expects another version:
//     that is a conflict, or if any version is expected the batch is recorded a second
//     time, unless the server refuses ids that are taken
//   - see events that become visible at positions that it has already read past
//
// # Retries
//
// The client sends a request again, with back-off, only while the server is
// unavailable, and at most six times in all. After any other failure of an append, and
// after the sixth, its outcome is unknown: append the same events again to learn it,
// as package runner does.
//
// # Streams on the wire
//
// The protocol names a stream by its tenant and its aggregate_id; the aggregate_type
// stands beside the id and is not part of the name. A [store.Stream] is named by both
// its type and its id. These rules join the two, so that neither side needs to know
// about the other:
//
//   - aggregate_type and aggregate_id are the Type and ID of the stream, unchanged, in
//     both directions. What a client in another language appends as "acc-1" of
//     "Account" is store.Stream{Type: "Account", ID: "acc-1"} for a program in Go,
//     whether it uses the server or the backend, and the other way around.
//   - For a client that knows only the protocol, an id names the stream with that id
//     whose first event is the oldest. This never changes. An append with another
//     type collides with that stream: the status is ABORTED if the expected nonce is
//     not the stream's version, and INVALID_ARGUMENT if it is.
//   - This client says in request metadata that it names streams by type and id, so
//     one id with two types is two streams for it.
//
// # Events on the wire
//
// event_version is Schema, headers are Meta.Headers, timestamp_unix_ms is Time in
// milliseconds (0 is the zero time, and a time before 1970 is its two's complement),
// recorded_time_unix_ms is RecordedAt, aggregate_nonce is Version, global_nonce is
// Position, and fields with equal names are equal. content_schema and payload_sha256
// are kept as the headers [HeaderContentSchema] and [HeaderPayloadSHA256]. An event
// that is kept as a value and not as bytes cannot be sent.
package grpc

import "github.com/evolvego/evolve/store/grpc/internal/wire"

// The protocol has two fields that [store.Event] does not have. The server keeps them
// as headers under these keys. A server refuses every other key that begins with
// "eventstore.v1/".
const (
	// HeaderContentSchema holds an event's content_schema.
	HeaderContentSchema = wire.HeaderContentSchema
	// HeaderPayloadSHA256 holds an event's payload_sha256, as the client sent it, in
	// lower-case hexadecimal digits.
	HeaderPayloadSHA256 = wire.HeaderPayloadSHA256
)
