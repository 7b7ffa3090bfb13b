package server

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

// ConflictDetails is the form of the details of a conflict, which contain the version
// of the stream. The zero value chooses by the client's user agent.
type ConflictDetails int

const (
	// StandardDetails sends a google.rpc.Status in grpc-status-details-bin, as gRPC does.
	// This is the default for every client except grpc-python.
	StandardDetails ConflictDetails = iota + 1
	// DoubleDetails sends two values of grpc-status-details-bin: a google.rpc.Status, and
	// then the google.protobuf.Any that it contains. This is the default for grpc-python,
	// because clients in Python read the latter.
	DoubleDetails
)

// WithConflictDetails sets the form of the details of conflicts for all clients.
func WithConflictDetails(d ConflictDetails) Option {
	return option(func(s *Server) { s.conflicts = d })
}

// conflict returns the status for an append to aggregate id that found the stream at
// version, with this position.
func (s *Server) conflict(ctx context.Context, tenant, id string, version, position uint64) error {
	st := status.New(codes.Aborted, "append precondition failed")
	detail, err := anypb.New(&eventstorev1.ConcurrencyErrorDetail{
		TenantId: tenant, AggregateId: id, ActualLastAggregateNonce: version, ActualLastGlobalNonce: position,
	})
	if err != nil {
		return st.Err()
	}
	full := st.Proto()
	full.Details = append(full.Details, detail)
	if s.conflicts != DoubleDetails && (s.conflicts == StandardDetails || !isPython(ctx)) {
		return status.FromProto(full).Err()
	}
	first, err1 := proto.Marshal(full)
	second, err2 := proto.Marshal(detail)
	if errors.Join(err1, err2) == nil {
		_ = gogrpc.SetTrailer(ctx, metadata.Pairs(wire.DetailsKey, string(first), wire.DetailsKey, string(second)))
	}
	return st.Err() // details of its own would replace the two
}

func isPython(ctx context.Context) bool {
	agent := metadata.ValueFromIncomingContext(ctx, "user-agent")
	return len(agent) > 0 && strings.HasPrefix(agent[0], "grpc-python")
}

// toStatus converts err for the client: nil and our own statuses unchanged, the errors
// of stores as the statuses for them, and for anything else only what a client needs to
// know.
func (s *Server) toStatus(ctx context.Context, c *Call, err error) error {
	if err == nil {
		return nil
	}
	if _, ours := err.(interface{ GRPCStatus() *status.Status }); ours { // a wrapped status comes from a backend
		return err
	}
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		return wire.InvalidStatus(codes.InvalidArgument, invalid).Err()
	}
	if duplicate, ok := errors.AsType[*store.DuplicateError](err); ok {
		return wire.DuplicateStatus(duplicate).Err()
	}
	switch {
	case errors.Is(err, store.ErrRefused):
		s.log(ctx, "the store refused an append", c, err)
		return wire.RefusedStatus().Err()
	case errors.Is(err, store.ErrClosed):
		return status.Error(codes.Unavailable, "the store is closed")
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return status.FromContextError(ctx.Err()).Err()
	case isAway(err) || s.away.Load():
		s.log(ctx, "the store does not answer", c, err)
		return status.Error(codes.Unavailable, "the store does not answer")
	}
	return s.unexpected(ctx, c, err)
}

// sqlError is the error of a server that speaks SQL.
type sqlError interface {
	error
	SQLState() string
}

// isAway reports whether err, from a backend, means that the backend cannot be reached,
// as far as this can be seen without knowing its driver.
func isAway(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if of, ok := errors.AsType[sqlError](err); ok {
		state := of.SQLState() // no connection, out of resources, shutting down or starting
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") || strings.HasPrefix(state, "57P")
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		status.Code(err) == codes.Unavailable
}

// unexpected logs err, and returns what a client may know about it.
func (s *Server) unexpected(ctx context.Context, c *Call, err error) error {
	s.log(ctx, "call failed", c, err)
	return status.Error(codes.Internal, "internal error")
}
