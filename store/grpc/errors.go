package grpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

// callError turns err, which ended a call, into an error of a store: the error of ctx,
// an *[store.InvalidError] if the server sent one, or else err itself with what was
// attempted.
func callError(ctx context.Context, what string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	st, _ := status.FromError(err)
	switch st.Code() { //nolint:exhaustive // the others are as they are
	case codes.DeadlineExceeded: // from the server or from our timeout, before ctx has noticed
		return fmt.Errorf("store/grpc: %s: %w: %w", what, context.DeadlineExceeded, err)
	case codes.Canceled: // from the server, because ctx has not ended; some servers send this when the time is up
		if !strings.Contains(strings.ToLower(st.Message()), "timeout") {
			break
		}
		return fmt.Errorf("store/grpc: %s: %w: %w", what, context.DeadlineExceeded, err)
	case codes.Unimplemented:
		return fmt.Errorf("store/grpc: %s: %w by this server: %w", what, errors.ErrUnsupported, err)
	case codes.InvalidArgument:
		if invalid := wire.InvalidFrom(st); invalid != nil {
			return invalid
		}
		return &store.InvalidError{Field: "request", Reason: "is refused by the server: " + st.Message()}
	}
	return fmt.Errorf("store/grpc: %s: %w", what, err)
}

// tooLarge reports whether err means that a message is larger than one of the two sides
// accepts, in the words of gRPC in Go or in Rust.
func tooLarge(err error) bool {
	st, _ := status.FromError(err)
	return (st.Code() == codes.ResourceExhausted || st.Code() == codes.OutOfRange) &&
		(strings.Contains(st.Message(), "larger than max") || strings.Contains(st.Message(), "length too large"))
}

// conflictOf reports whether err, the answer to an append with this trailer, means that
// the stream is at another version than expected; known reports whether the answer has
// that version. Servers express it in several ways, see readDetail; the code is the
// least important of them.
func conflictOf(err error, trailer metadata.MD) (actual uint64, known, conflict bool) {
	for _, value := range trailer.Get(wire.DetailsKey) {
		if detail := readDetail([]byte(value)); detail != nil {
			return detail.GetActualLastAggregateNonce(), true, true
		}
	}
	st, _ := status.FromError(err)
	text := st.Message()
	conflict = st.Code() == codes.Aborted || strings.Contains(text, "append precondition failed") ||
		st.Code() == codes.Internal && strings.Contains(text, "invalid aggregate_nonce") && strings.Contains(text, "expected")
	return 0, false, conflict
}

// readDetail returns the detail about a conflict in a value of wire.DetailsKey, or nil
// if there is none. By the standard, the value is a google.rpc.Status that contains the
// details; some servers send the detail itself, as a google.protobuf.Any.
func readDetail(value []byte) *eventstorev1.ConcurrencyErrorDetail {
	bare := &anypb.Any{}
	if proto.Unmarshal(value, bare) == nil && bare.GetTypeUrl() != "" {
		return conflictDetail(bare)
	}
	st := status.New(codes.Unknown, "").Proto() // only for its type, whose module this package need not require
	if proto.Unmarshal(value, st) != nil {
		return nil
	}
	for _, detail := range st.GetDetails() {
		if detail := conflictDetail(detail); detail != nil {
			return detail
		}
	}
	return nil
}

func conflictDetail(detail *anypb.Any) *eventstorev1.ConcurrencyErrorDetail {
	conflict := &eventstorev1.ConcurrencyErrorDetail{}
	if !detail.MessageIs(conflict) || detail.UnmarshalTo(conflict) != nil {
		return nil
	}
	return conflict
}
