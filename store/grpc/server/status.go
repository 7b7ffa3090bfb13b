package server

import (
	"context"
	"errors"
	"log/slog"
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

// ConflictDetails is how the details of a conflict are sent: where the stream is
// that was expected elsewhere. The zero value chooses by the client.
type ConflictDetails int

const (
	// StandardDetails are those of every gRPC status: a google.rpc.Status in
	// grpc-status-details-bin. It is what clients get that are not grpc-python.
	StandardDetails ConflictDetails = iota + 1
	// DoubleDetails are two values of grpc-status-details-bin: a
	// google.rpc.Status, and then the google.protobuf.Any that is in it. It is
	// what grpc-python gets, for whose users look for the latter.
	DoubleDetails
)

// WithConflictDetails sets how the details of conflicts are sent to all clients.
func WithConflictDetails(d ConflictDetails) Option {
	return option(func(s *Server) { s.conflicts = d })
}

// conflict returns the status of an append to aggregate id that found it at
// version, whose position this is.
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
	md, _ := metadata.FromIncomingContext(ctx)
	agent := md["user-agent"]
	return len(agent) > 0 && strings.HasPrefix(agent[0], "grpc-python")
}

// toStatus returns err as it is sent: nil and a status as they are, and what a
// store returns as a status.
func (s *Server) toStatus(ctx context.Context, c *Call, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	var invalid *store.InvalidError
	var duplicate *store.DuplicateError
	switch {
	case errors.As(err, &invalid):
		return wire.InvalidStatus(invalid).Err()
	case errors.As(err, &duplicate):
		return wire.DuplicateStatus(duplicate).Err()
	case errors.Is(err, store.ErrClosed):
		return status.Error(codes.Unavailable, "the store is closed")
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return status.FromContextError(ctx.Err()).Err()
	}
	return s.unexpected(ctx, c, err)
}

// unexpected logs err, of which the client must not see more than that it is.
func (s *Server) unexpected(ctx context.Context, c *Call, err error) error {
	s.logger.LogAttrs(ctx, slog.LevelError, "call failed", slog.String("method", c.Method),
		slog.String("tenant", c.Tenant), slog.Any("error", err))
	return status.Error(codes.Internal, "internal error")
}
