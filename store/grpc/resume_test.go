package grpc_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// answering returns an option that lets answer reply to forward requests for the log,
// in place of the server, unless it returns neither a response nor an error.
func answering(
	answer func(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error),
) gogrpc.ServerOption {
	return gogrpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *gogrpc.UnaryServerInfo, handle gogrpc.UnaryHandler) (any, error) {
			if r, ok := req.(*eventstorev1.ReadAllRequest); ok && r.GetForward() {
				if resp, err := answer(ctx, r); resp != nil || err != nil {
					return resp, err
				}
			}
			return handle(ctx, req)
		})
}

// TestSubscriptionWithoutProgress uses a server that reports a head, but sends empty
// pages that do not lead to it.
func TestSubscriptionWithoutProgress(t *testing.T) {
	t.Parallel()
	requests := 0
	st := open(t, listen(t, server.New(memory.New()), answering(
		func(ctx context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
			if requests++; requests > 1 {
				return nil, status.Error(codes.PermissionDenied, "it asks again and again")
			}
			return &eventstorev1.ReadAllResponse{NextFromGlobalNonce: req.GetFromGlobalNonce()}, gogrpc.SetTrailer(ctx, metadata.Pairs(wire.MDHead, "9"))
		})))
	for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("Subscribe yielded %+v, %v; want an error about the protocol", page, err)
		}
	}
}

// TestSubscriptionEndsWithARefusal makes a server refuse one request of a subscription
// that has caught up. The subscription must not go on as if nothing had happened.
func TestSubscriptionEndsWithARefusal(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal := status.Error(codes.PermissionDenied, "not any more")
			var refuses atomic.Bool
			st := open(t, listen(t, srv(),
				answering(func(context.Context, *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
					if refuses.CompareAndSwap(true, false) {
						return nil, refusal
					}
					return nil, nil //nolint:nilnil // the server answers
				}),
				gogrpc.StreamInterceptor(func(srv any, ss gogrpc.ServerStream, _ *gogrpc.StreamServerInfo, handle gogrpc.StreamHandler) error {
					if name == "ours" && refuses.CompareAndSwap(true, false) { // it reads the log no more
						return refusal
					}
					return handle(srv, ss)
				})))
			pages := 0
			for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
				if status.Code(err) == codes.PermissionDenied {
					return
				}
				if pages++; err != nil || pages > 1 {
					t.Fatalf("page %d of Subscribe is %+v, %v; want only the refusal after the first", pages, page, err)
				}
				refuses.Store(true)
			}
			t.Fatal("Subscribe ended without an error")
		})
	}
}

// noting is a server that notes where subscriptions begin.
type noting struct {
	*foreign

	from chan uint64
}

func (n noting) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, n) }

func (n noting) Subscribe(
	req *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse],
) error {
	n.from <- req.GetFromGlobalNonce()
	return n.foreign.Subscribe(req, stream)
}

// TestSubscriptionAsksOnlyForWhatItNeeds subscribes to the end of the log of a server
// without ReadAll: it must not send the whole log.
func TestSubscriptionAsksOnlyForWhatItNeeds(t *testing.T) {
	t.Parallel()
	srv := &scripted{foreign: newForeign().with(quirks{NoReadAll: true})}
	srv.add(t, aStream(), numbers(1, 5)...)
	from := make(chan uint64, 1)
	for page, err := range openAt(t, noting{srv.foreign, from}).Subscribe(t.Context(), store.LogOptions{From: 4}) {
		if asked := <-from; err != nil || asked != 4 || page.Events[0].Position != 4 {
			t.Errorf("Subscribe asked for position %d, and yielded %+v, %v; want 4 both times", asked, page, err)
		}
		break
	}
}

// TestPagesGrowAgain subscribes to a server that fails once. The client asks for less,
// because a page may be too large for the connection, but not for ever.
func TestPagesGrowAgain(t *testing.T) {
	t.Parallel()
	var asked []uint32
	backend := memory.New()
	if _, err := backend.Append(t.Context(), aStream(), store.NoStream, numbers(1, 20)); err != nil {
		t.Fatal(err)
	}
	st := open(t, listen(t, server.New(backend), answering(
		func(_ context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
			if asked = append(asked, req.GetMaxCount()); len(asked) <= 2 {
				return nil, status.Error(codes.Internal, "the connection is poor")
			}
			return nil, nil //nolint:nilnil // the server answers
		})), grpc.PageSize(8))
	for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if page.End {
			break
		}
	}
	if want := []uint32{8, 4, 2, 4 + 1, 8, 8}; !slices.Equal(asked, want) { // with one to see the last event again
		t.Errorf("the client asked for pages of %d events, want %d", asked, want)
	}
}
