// Package eventstorev1 is the eventstore.v1 protocol as protoc-gen-go and
// protoc-gen-go-grpc generate it from eventstore.proto. It is for those who need
// the protocol itself; [github.com/evolvego/evolve/store/grpc] has a client and
// a server. A program can hold only one generated copy of the protocol: this is
// the one to import.
package eventstorev1
