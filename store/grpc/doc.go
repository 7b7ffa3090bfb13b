// Package grpc is the eventstore.v1 protocol, both sides of it: a [Server] that
// makes any store reachable for clients of every language, and a client that is
// a store. The messages are in package eventstorev1.
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
