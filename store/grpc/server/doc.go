// Package server serves any store over the eventstore.v1 protocol, to clients in every
// language. Package [github.com/evolvego/evolve/store/grpc] is the client in Go, and
// says how streams and events look on the wire.
//
// [New] returns a server for a backend; [Server.Register] adds it to a gRPC server
// that you have, and [Server.Serve] runs one with all that it needs. An
// [Authenticator] says which tenants a client may use ([ClientCertificates],
// [BearerTokens], [ReadTokens]); no request reaches another tenant.
//
// # Idempotency keys
//
// The server records an idempotency key with its append, as a header of the first
// event that it sends to nobody. So a key lasts as long as the events, on every store,
// across restarts, and for any number of servers on one backend. The server reads a
// stream for its keys once, and keeps the keys of the 4,096 streams that were used last
// with a key; an append with a key to a long stream that is not among them costs
// reading that stream.
//
// # Subscriptions
//
// All subscribers of a tenant share one reader of the end of the log, which holds at
// most 1,024 events and 8 MiB; a subscriber that is further behind reads the log in
// pages. No event is left out, and a slow subscriber slows nobody else. A subscription
// that ends with UNAVAILABLE, because the server stops or the store failed, can resume
// at the position after its last event.
//
// # Streams by their id
//
// For clients that know only the protocol the server must find a stream by its id
// alone. It learns a tenant's stream types from the log, which it reads to the end the
// first time it is asked for an id, and from there on later. Two servers of one backend
// do not see each other's creations in progress: if two such clients create one id
// with two types at the same moment through different servers, both succeed, and the id
// names the older stream.
package server
