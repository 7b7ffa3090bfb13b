// Package grpc is the eventstore.v1 protocol, both sides of it: a [Server] that
// makes any store reachable for clients of every language, and a [Store] that is
// a client of one. The messages are in package eventstorev1.
//
//	program in Go                                   backend: memory, SQLite, Postgres
//	    │ store.Store, store.Log                            │ store.Store, store.Log
//	┌───┴────────┐          eventstore.v1           ┌───────┴───────┐
//	│ grpc.Store ├───────────────┬─────────────────▶│  grpc.Server  │
//	└───┬────────┘               │                  └───────────────┘
//	    │          programs in Python, TypeScript, Rust, …
//	    │
//	    └─────────────────────────▶ any other server of eventstore.v1
//
// # The client
//
// [Open] returns a store that is as good as the one behind the server: it passes
// the whole of package storetest over a server of this package. Snapshots,
// checkpoints, claims and leases are not in the protocol, so a [Store] has none;
// keep them at the backend, or beside.
//
// It works with other servers of the protocol too, and believes them as little as
// it can. Pages are checked, and asked for until the end has been seen; the head of
// a stream or log costs a second request where the answer does not show it; a
// conflict is recognized in whatever form it comes. What they do not know, it does
// in their place, as far as that goes: it filters the log, it looks for the version
// of an append that expects none, and when it sends an append again because no
// answer came, or a server refuses one without a reason, it looks into the stream
// for what has become of the events. What it cannot do for them:
//
//   - tell apart two streams with one id and different types (it is an error)
//   - notice that the id of an event is taken in another stream
//   - know a batch again that was appended before, if another version is expected
//     than at that time: it is a conflict, or where any version is expected it is
//     recorded a second time, unless the server refuses ids that are taken
//   - see events that become visible behind those that were read already
//
// A request is sent again, with back-off, only while the server is unavailable, and
// six times at most. After any other failure of an append, and after that, its
// outcome is unknown: append the same events again to learn it, as package runner
// does.
//
// # The server
//
// [NewServer] serves any backend; [Server.Register] puts it beside other services
// of a gRPC server, and [Server.Serve] runs one with all that it needs. An
// [Authenticator] says which tenants a client may see ([ClientCertificates],
// [BearerTokens], [ReadTokens]); no request reaches another one.
//
// An idempotency key is recorded with its append, as a header of the first event
// that is not sent to anyone, so it holds as long as the events do, on every store,
// across restarts and for any number of servers on one backend. The server reads
// the stream for its keys once, and keeps the keys of the 4,096 streams that it was
// asked for last; an append with a key to a long stream that is not one of them
// costs a reading of it.
//
// All subscribers of a tenant share one reading of the end of the log, of at most
// 1,024 events and 8 MiB; who is farther behind reads the log in pages. No event is
// left out, and who is slow slows nobody else. A subscription that ends with
// UNAVAILABLE, because the server ends or the store broke it, can go on at the
// position after its last event.
//
// For clients that know only the protocol the server must find streams by their
// ids alone. It learns the types of a tenant from its log, which it reads up to the
// end when it is asked for an id for the first time, and from there on later. Two
// servers of one backend do not see each other create: if two such clients create
// one id with two types at the same moment over different servers, both succeed,
// and the id names the older one.
//
// # Streams on the wire
//
// The protocol names a stream by its tenant and its aggregate_id; the type of the
// aggregate is beside the id and not part of the name. A [store.Stream] is named
// by both. So that neither side needs to know of the other:
//
//   - The aggregate_type and aggregate_id of the wire are the Type and ID of the
//     stream, to the letter, in both directions. What a client in another language
//     appends as "acc-1" of "Account" is store.Stream{Type: "Account", ID: "acc-1"}
//     for a program in Go, be it behind the server or beside it at the backend, and
//     the other way around.
//   - For a client that knows only the protocol, an id names the stream with that
//     id that has the oldest first event. This never changes. An append with
//     another type collides with it, as it does where the type is no part of the
//     name: the status is ABORTED if the expected nonce is not that of the stream,
//     and INVALID_ARGUMENT if it is.
//   - Our client says with metadata that it names streams by both, so that
//     the same id in two types is two streams for it.
//
// # Events on the wire
//
// event_version is Schema, headers are Meta.Headers, timestamp_unix_ms is Time in
// milliseconds (0 is the zero time, and one before 1970 the two's complement),
// recorded_time_unix_ms is RecordedAt, aggregate_nonce is Version, global_nonce is
// Position, and what has the same name is the same. content_schema and
// payload_sha256 are kept as the headers [HeaderContentSchema] and
// [HeaderPayloadSHA256]. An event that is kept as a value and not as bytes cannot
// be sent.
package grpc
