// Package grpc is a client of the eventstore.v1 protocol: a [Store] is a [store.Store]
// and a [store.Log] on a server. Package [github.com/evolvego/evolve/store/grpc/server]
// is the server, and [github.com/evolvego/evolve/store/grpc/eventstorev1] has the
// messages.
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
// With a server of package server, the store that [Open] returns is as good as the one
// behind the server: it passes all of package storetest. Snapshots, checkpoints, claims
// and leases are not in the protocol, so a [Store] has none; keep them at the backend,
// or in a store of their own.
//
// # Other servers
//
// The client also works with other servers of the protocol, and trusts them as little
// as it can. It checks every page, and requests pages until it has seen the end. It
// sends a second request for the head of a stream or log if the answer does not show
// it. It recognizes a conflict in every form that is in use. Where such a server cannot
// do something, the client does it if possible. It filters the log. It looks up the
// version for an append that does not expect an exact one. When it retries an append
// because no answer came, or a server refuses one without a reason, it reads the stream
// to find out what happened to the events. With such a server, the client cannot
//
//   - distinguish two streams with the same id and different types (that is an error)
//   - notice that an event's id is already recorded in another stream
//   - recognize a batch that was appended before if it now expects another version:
//     that is a conflict, or if any version is expected the batch is recorded a second
//     time, unless the server refuses duplicate ids
//   - see events that become visible at positions that it has already read past
//
// # Retries
//
// The client retries a request, with back-off, only while the server is unavailable,
// and makes at most six attempts in all. After any other failure of an append, and
// after the sixth attempt, its outcome is unknown: append the same events again to find
// out, as package runner does.
//
// # Streams on the wire
//
// In the protocol, a tenant and an aggregate_id identify a stream; the aggregate_type
// accompanies the id but does not identify anything. A [store.Stream] is identified by
// both its type and its id. The following rules reconcile the two, so that neither side
// needs to know about the other:
//
//   - aggregate_type and aggregate_id are the Type and ID of the stream, unchanged, in
//     both directions. If a client in another language appends to "acc-1" of "Account",
//     that is store.Stream{Type: "Account", ID: "acc-1"} for a program in Go, whether
//     it uses the server or the backend, and the other way around.
//   - For a client that knows only the protocol, an id means the stream with that id
//     whose first event is the oldest. This never changes. An append with another type
//     collides with that stream: the status is ABORTED if the expected nonce is not the
//     stream's version, and INVALID_ARGUMENT if it is.
//   - This client says in request metadata that it identifies streams by type and id,
//     so for it one id with two types means two streams.
//
// # Events on the wire
//
// event_version is Schema, headers are Meta.Headers, timestamp_unix_ms is Time in
// milliseconds (0 is the zero time, and a time before 1970 is its two's complement),
// recorded_time_unix_ms is RecordedAt, aggregate_nonce is Version, global_nonce is
// Position, and fields with equal names are equal. content_schema and payload_sha256
// are stored as the headers [HeaderContentSchema] and [HeaderPayloadSHA256]. An event
// that is stored as a value and not as bytes cannot be sent.
package grpc

import "github.com/evolvego/evolve/store/grpc/internal/wire"

// The protocol has two fields that [store.Event] does not have. The server stores them
// as headers under these keys. It refuses every other key that begins with
// "eventstore.v1/".
const (
	// HeaderContentSchema holds an event's content_schema.
	HeaderContentSchema = wire.HeaderContentSchema
	// HeaderPayloadSHA256 holds an event's payload_sha256, as the client sent it, in
	// lower-case hexadecimal digits.
	HeaderPayloadSHA256 = wire.HeaderPayloadSHA256
)
