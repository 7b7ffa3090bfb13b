// Package eventstorev1 is the eventstore.v1 protocol as protoc-gen-go and
// protoc-gen-go-grpc generate it from eventstore.proto, for programs that need the
// protocol itself. [github.com/evolvego/evolve/store/grpc] is a client, and
// [github.com/evolvego/evolve/store/grpc/server] a server. A program can contain only
// one generated copy of the protocol: import this one.
package eventstorev1
