package grpc_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
		for _, code := range []codes.Code{
			codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.NotFound,
			codes.FailedPrecondition, codes.Unimplemented, codes.OutOfRange, codes.DataLoss,
		} {
			t.Run(name+", "+code.String(), func(t *testing.T) {
				t.Parallel()
				subscribeUntilRefused(t, srv(), status.Error(code, "not any more"))
			})
		}
	}
}

func subscribeUntilRefused(t *testing.T, srv registrar, refusal error) {
	t.Helper()
	var refuses atomic.Bool
	st := open(t, listen(t, srv,
		answering(func(context.Context, *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
			if refuses.CompareAndSwap(true, false) {
				return nil, refusal
			}
			return nil, nil //nolint:nilnil // the server answers
		}),
		gogrpc.StreamInterceptor(func(srv any, ss gogrpc.ServerStream, _ *gogrpc.StreamServerInfo, handle gogrpc.StreamHandler) error {
			if _, ours := srv.(*server.Server); ours && refuses.CompareAndSwap(true, false) { // the client reads no more
				return refusal
			}
			return handle(srv, ss)
		})))
	pages := 0
	for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if err != nil {
			if code := status.Code(err); code != status.Code(refusal) && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("Subscribe ended with %v, want %v", err, refusal)
			}
			return
		}
		if pages++; pages > 1 {
			t.Fatalf("page %d of Subscribe is %+v, want only the refusal after the first", pages, page)
		}
		refuses.Store(true)
	}
	t.Error("Subscribe ended without an error")
}

// TestSubscriptionThatCannotBegin makes the client's own interceptor refuse the
// subscription: it ends with that error, and Close does not wait for it.
func TestSubscriptionThatCannotBegin(t *testing.T) {
	t.Parallel()
	refusal := status.Error(codes.PermissionDenied, "not from here")
	for name, srv := range backends() {
		st := open(t, listen(t, srv()), grpc.DialOptions(gogrpc.WithStreamInterceptor(
			func(context.Context, *gogrpc.StreamDesc, *gogrpc.ClientConn, string, gogrpc.Streamer, ...gogrpc.CallOption) (gogrpc.ClientStream, error) {
				return nil, refusal
			})))
		var last error
		for _, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
			last = err
		}
		if !errors.Is(last, refusal) {
			t.Errorf("%s: Subscribe ended with %v, want %v", name, last, refusal)
		}
		if err := st.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
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

// TestPagesGrowAgain subscribes to a server that fails now and then. The client asks for
// less after a failure without progress, because a page may be too large for the
// connection, but not for ever.
func TestPagesGrowAgain(t *testing.T) {
	t.Parallel()
	var asked []uint32
	backend := memory.New()
	if _, err := backend.Append(t.Context(), aStream(), store.NoStream, numbers(1, 20)); err != nil {
		t.Fatal(err)
	}
	st := open(t, listen(t, server.New(backend), answering(
		func(_ context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
			asked = append(asked, req.GetMaxCount())
			if slices.Contains([]int{1, 2, 5, 6}, len(asked)) {
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
	// The first page of a connection has one more event, which was received before.
	if want := []uint32{8, 4, 2, 4 + 1, 8, 8 + 1, 4 + 1, 8, 8}; !slices.Equal(asked, want) {
		t.Errorf("the client asked for pages of %d events, want %d", asked, want)
	}
}

// TestReconnectsWithBackOff subscribes to a server that fails for a minute. The client
// must not give up, and must not send requests all the time.
func TestReconnectsWithBackOff(t *testing.T) {
	t.Parallel()
	requests := 0
	failing := gogrpc.WithUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, conn *gogrpc.ClientConn, invoke gogrpc.UnaryInvoker, options ...gogrpc.CallOption,
	) error {
		if r, ok := req.(*eventstorev1.ReadAllRequest); !ok || !r.GetForward() {
			return invoke(ctx, method, req, reply, conn, options...)
		}
		if requests++; requests > 1000 {
			return status.Error(codes.PermissionDenied, "this is enough")
		}
		return status.Error(codes.Internal, "failed")
	})
	overLines(t, func(t *bubble) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for page, err := range t.st.Subscribe(ctx, store.LogOptions{}) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Subscribe yielded %+v, %v; want it to go on for a minute", page, err)
			}
		}
		if requests < 20 || requests > 200 { // the waits are random, one second on average
			t.Errorf("the client sent %d requests in a minute, want about 60", requests)
		}
	}, grpc.DialOptions(failing))
}

// TestSilence subscribes to servers without ReadAll that send nothing more after they
// have begun. A server that has sent a keep-alive is lost if it sends no more of them;
// another one may just have no events.
func TestSilence(t *testing.T) {
	t.Parallel()
	for keepAlive, want := range map[bool]int{true: 6, false: 1} {
		synctest.Test(t, func(t *testing.T) {
			srv := noting{newForeign().with(quirks{NoReadAll: true, KeepAlive: keepAlive}), make(chan uint64, 100)}
			st, _ := openLines(t, srv, grpc.Timeout(20*time.Second))
			ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
			defer cancel()
			for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Subscribe yielded %+v, %v", page, err)
				}
			}
			if got := len(srv.from); got != want {
				t.Errorf("with keep-alives %t: the client has subscribed %d times in 110 seconds, want %d", keepAlive, got, want)
			}
		})
	}
}

// TestReadsOnceForManyMessages has a loop that is busy while many events arrive. With a
// server that is not ours, each only means that there is something to read.
func TestReadsOnceForManyMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newForeign().with(quirks{Ends: "exact"})
		st, _ := openLines(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const n = 30
		ended := make(chan error, 1)
		go func() {
			got := 0
			for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
				if err != nil {
					ended <- err
					return
				}
				if got += len(page.Events); got == 1 {
					for i := 1; i < n; i++ {
						if _, err := st.Append(ctx, aStream(), store.Any, numbers(i+1, 1)); err != nil {
							t.Error(err)
						}
					}
					synctest.Wait() // all messages have arrived
				}
			}
		}()
		synctest.Wait()
		if _, err := st.Append(ctx, aStream(), store.NoStream, numbers(1, 1)); err != nil {
			t.Fatal(err)
		}
		before := srv.tenant(store.DefaultTenant).count()
		time.Sleep(time.Second)
		appends := 2 * (n - 1) // with a read of the version for each
		if reads := srv.tenant(store.DefaultTenant).count() - before - appends; reads > 3 {
			t.Errorf("the client read the log %d times for %d events that came together, want at most 3", reads, n-1)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Subscribe ended with %v", err)
		}
	})
}

// counted is a stream of a server that counts the events.
type counted struct {
	gogrpc.ServerStream

	events *atomic.Int64
}

func (c counted) SendMsg(m any) error {
	if r, ok := m.(*eventstorev1.SubscribeResponse); ok && r.GetEvent().GetMeta().GetEventId() != "" {
		c.events.Add(1)
	}
	return c.ServerStream.SendMsg(m)
}

// TestOnlyMatchingEventsAreSent subscribes with a filter at a server that knows filters.
func TestOnlyMatchingEventsAreSent(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]store.Filter{
		"an id": {IDPrefix: "last"}, "a stream type": {StreamTypes: []string{"Last"}}, "an event type": {EventTypes: []string{"Last"}},
	} {
		var sent atomic.Int64
		st := open(t, listen(t, server.New(memory.New()), gogrpc.StreamInterceptor(
			func(srv any, ss gogrpc.ServerStream, _ *gogrpc.StreamServerInfo, handle gogrpc.StreamHandler) error {
				return handle(srv, counted{ss, &sent})
			})))
		last := numbered(4)
		last.Type = "Last"
		for page, err := range st.Subscribe(t.Context(), store.LogOptions{Filter: filter}) {
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Events) > 0 {
				break
			}
			for stream, events := range map[store.Stream][]store.Event{aStream(): numbers(1, 3), {Type: "Last", ID: "last"}: {last}} {
				if _, err := st.Append(t.Context(), stream, store.NoStream, events); err != nil && !errors.Is(err, store.ErrConflict) {
					t.Fatal(err)
				}
			}
		}
		if got := sent.Load(); got != 1 {
			t.Errorf("%s: the server sent %d events, want one", name, got)
		}
	}
}

// nameless is a server without ReadAll that sends an event without an id.
type nameless struct{ *foreign }

func (n nameless) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, n) }

func (n nameless) Subscribe(_ *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse]) error {
	e := rawEvent("1", 1)
	e.Meta.EventId = ""
	if err := stream.Send(&eventstorev1.SubscribeResponse{Event: e}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// TestEventWithoutAnID checks that an event without an id, as other servers may have, is
// not taken for a sign that the subscription has caught up.
func TestEventWithoutAnID(t *testing.T) {
	t.Parallel()
	st := openAt(t, nameless{newForeign().with(quirks{NoReadAll: true})})
	for page, err := range st.Subscribe(t.Context(), store.LogOptions{}) {
		if err != nil || len(page.Events) != 1 {
			t.Errorf("Subscribe yielded %+v, %v; want the event", page, err)
		}
		break
	}
}
