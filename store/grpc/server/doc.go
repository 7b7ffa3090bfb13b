// Package server serves any store over the eventstore.v1 protocol, to clients in every
// language. Package [github.com/evolvego/evolve/store/grpc] is the client in Go, and
// describes how streams and events look on the wire.
//
// [New] returns a server for a backend; [Server.Register] adds it to an existing gRPC
// server, and [Server.Serve] runs a complete one. An [Authenticator] decides which
// tenants a client may use ([ClientCertificates], [BearerTokens], [ReadTokens]); no
// request reaches another tenant.
//
// # Idempotency keys
//
// The server records an idempotency key with its append, as a header of the first
// event, which it never sends to clients. So a key lasts as long as the events, on
// every store, across restarts, and for any number of servers on one backend. The
// server reads a stream once to learn its keys, and caches the keys of the 4,096
// streams most recently used with a key. An append with a key to a long stream that is
// not cached costs reading that stream.
//
// # Subscriptions
//
// All subscribers of a tenant share one reader of the end of the log, which holds at
// most 1,024 events and 8 MiB; a subscriber that is further behind reads the log in
// pages. No event is skipped, and a slow subscriber slows down nobody else. A
// subscription that ends with UNAVAILABLE, because the server stops or the store
// failed, can resume at the position after its last event.
//
// # Streams by their id
//
// For clients that know only the protocol, the server must find a stream by its id
// alone. It learns a tenant's stream types from the log, which it reads to the end the
// first time it needs them, and later only reads what is new. Two servers of one
// backend do not see each other's creations in progress: if two such clients create one
// id with two types at the same moment through different servers, both succeed, and the
// id means the older stream.
package server
