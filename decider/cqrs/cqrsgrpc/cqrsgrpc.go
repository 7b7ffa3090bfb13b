// Package cqrsgrpc carries positions of the log over gRPC, as metadata, so that a client
// reads its own writes. It does what package runnerhttp does with the headers Position
// and At-Least.
//
//	// the server
//	grpc.NewServer(grpc.ChainUnaryInterceptor(cqrsgrpc.Server))
//	out, err := accounts.Handle(ctx, id, cmd)
//	err = cqrsgrpc.SetPosition(ctx, out.Position)     // in the method of a command
//	err = balances.WaitFor(ctx, cqrs.Position(ctx))   // or cqrs.ReadYourWrites, in the method of a query
//
//	// the client
//	conn, err := grpc.NewClient(target, grpc.WithChainUnaryInterceptor(cqrsgrpc.Client))
//	ctx, seen := cqrsgrpc.Track(ctx)                  // for a chain of calls that belong together
package cqrsgrpc

import (
	"context"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/decider/cqrs"
	"github.com/evolvego/evolve/store"
)

// Keys of the metadata.
const (
	positionKey = "position"
	atLeastKey  = "at-least"
)

var (
	_ grpc.UnaryServerInterceptor = Server
	_ grpc.UnaryClientInterceptor = Client
)

// Server is an interceptor for servers. It puts the position in the metadata at-least of
// a call into its context, see [cqrs.Position]. If the metadata is not a position, the
// call fails with INVALID_ARGUMENT.
func Server(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	values := metadata.ValueFromIncomingContext(ctx, atLeastKey)
	if len(values) == 0 {
		return handler(ctx, req)
	}
	position, ok := parse(values)
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "the metadata at-least is %.100q; it must be one number from the metadata position", values)
	}
	return handler(cqrs.AtLeast(ctx, position), req)
}

// SetPosition tells the client of the call with ctx, in the metadata position, up to
// which position it must read to see what the call did. Position 0 sets nothing.
func SetPosition(ctx context.Context, position uint64) error {
	if position == 0 {
		return nil
	}
	return grpc.SetHeader(ctx, metadata.Pairs(positionKey, strconv.FormatUint(position, 10)))
}

// Client is an interceptor for clients. It asks for the position in the context of a
// call, from [cqrs.AtLeast] or from [Track], and reports the position in the answer to
// Track.
func Client(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	seen, _ := ctx.Value(seenKey{}).(*Seen)
	if position := max(cqrs.Position(ctx), seen.Position()); position > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, atLeastKey, strconv.FormatUint(position, 10))
	}
	if seen == nil {
		return invoke(ctx, method, req, reply, conn, opts...)
	}
	var header metadata.MD
	err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Header(&header))...)
	if position, ok := parse(header.Get(positionKey)); ok {
		seen.note(position)
	}
	return err
}

// Seen is the last position that servers have reported. It is safe for concurrent use.
type Seen struct {
	position atomic.Uint64
}

type seenKey struct{}

// Track returns a context whose calls through [Client] read what earlier calls with it
// wrote, and the last position of these calls.
func Track(ctx context.Context) (context.Context, *Seen) {
	s := &Seen{}
	return context.WithValue(ctx, seenKey{}, s), s
}

// Position returns the position, or 0 if no server has reported one. It returns 0 for
// nil.
func (s *Seen) Position() uint64 {
	if s == nil {
		return 0
	}
	return s.position.Load()
}

// note moves s to position if that is later.
func (s *Seen) note(position uint64) {
	for {
		old := s.position.Load()
		if position <= old || s.position.CompareAndSwap(old, position) {
			return
		}
	}
}

// parse returns the single position in values.
func parse(values []string) (uint64, bool) {
	if len(values) != 1 {
		return 0, false
	}
	position, err := strconv.ParseUint(values[0], 10, 64)
	return position, err == nil && position <= store.MaxVersion
}
