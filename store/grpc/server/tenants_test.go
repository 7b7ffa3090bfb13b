package server_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// canary is in everything that tenant "theirs" has, and in nothing that others send.
const canary = "CANARY"

// theirs returns a backend in which tenant "theirs" has streams, one of them with an
// idempotency key, and tenant "mine" has the same ids.
func theirs(tb rapid.TB) *memory.Store {
	tb.Helper()
	backend := memory.New()
	srv := server.New(backend)
	for _, tenant := range []string{"theirs", "mine"} {
		for _, id := range []string{"a", "b", "shared"} {
			req := rawAppend(id, 0, 3)
			req.TenantId, req.IdempotencyKey = tenant, "k"
			if tenant == "theirs" {
				req.AggregateType = "Type" + canary
			}
			for i, e := range req.GetEvents() {
				e.Meta.EventId = tenant + id + string(rune('0'+i))
				if tenant == "theirs" {
					e.Payload, e.Meta.ActorId, e.Meta.EventType = []byte(canary), canary, canary
					e.Meta.Headers = map[string]string{canary: canary}
				}
			}
			if _, err := srv.Append(context.Background(), req); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return backend
}

// onlyMine authenticates everybody as a client that may use the tenant "mine".
type onlyMine struct{}

func (onlyMine) Authenticate(context.Context) (server.Identity, error) {
	return server.Identity{Name: "me", Tenants: []string{"mine"}}, nil
}

// collector is a subscription that takes everything that is sent, and ends when it has
// caught up.
type collector struct {
	fakeStream

	cancel context.CancelFunc
	all    []proto.Message
}

func (c *collector) Send(m *pb.SubscribeResponse) error {
	c.all = append(c.all, m)
	if m.GetEvent().GetMeta().GetEventId() == "" {
		c.cancel()
	}
	return nil
}

// answers calls server with req, and returns all answers.
func answers(ctx context.Context, srv *server.Server, req proto.Message) ([]proto.Message, error) {
	switch req := req.(type) {
	case *pb.AppendRequest:
		resp, err := srv.Append(ctx, req)
		return []proto.Message{resp}, err
	case *pb.ReadStreamRequest:
		resp, err := srv.ReadStream(ctx, req)
		return []proto.Message{resp}, err
	case *pb.ReadAllRequest:
		resp, err := srv.ReadAll(ctx, req)
		return []proto.Message{resp}, err
	case *pb.SubscribeRequest:
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		c := &collector{fakeStream: fakeStream{ctx: ctx}, cancel: cancel}
		err := srv.Subscribe(req, c)
		return c.all, err
	}
	panic("unreachable: unknown request")
}

// drawRequest draws any request, mostly with existing tenants, ids and nonces.
// Subscriptions are those of a client that is told when it has caught up.
func drawRequest(t *rapid.T) (proto.Message, metadata.MD) {
	tenant := rapid.SampledFrom([]string{"mine", "mine", "mine", "theirs", "", "mine\x00theirs", "../theirs", "MINE", "theirs "})
	id := rapid.SampledFrom([]string{"a", "b", "shared", "", "theirs", "theirs/a", "%", "a\x00", "mine"})
	name := rapid.SampledFrom([]string{"Account", "Type" + canary, "", "-", "Type%"})
	number := rapid.OneOf(rapid.Uint64Range(0, 5), rapid.SampledFrom([]uint64{1<<63 - 1, 1<<64 - 1, 1 << 53}))
	md := metadata.MD{}
	if rapid.Bool().Draw(t, "known") {
		md = metadata.Pairs("evolve-client", "1", "evolve-aggregate-type-bin", name.Draw(t, "metadata type"),
			"evolve-id-prefix-bin", id.Draw(t, "metadata prefix"))
	}
	switch rapid.SampledFrom([]string{"Append", "ReadStream", "ReadAll", "Subscribe"}).Draw(t, "rpc") {
	case "Append":
		req := &pb.AppendRequest{
			TenantId: tenant.Draw(t, "tenant"), AggregateId: id.Draw(t, "id"), AggregateType: name.Draw(t, "type"),
			ExpectedAggregateNonce: number.Draw(t, "expected"), IdempotencyKey: rapid.SampledFrom([]string{"", "k", "l"}).Draw(t, "key"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "events") {
			e := &pb.EventData{Meta: &pb.EventMetadata{
				EventId:        rapid.SampledFrom([]string{"theirsa0", "minea0", "minea1", store.NewID()}).Draw(t, "event id"),
				AggregateNonce: number.Draw(t, "nonce"), TenantId: rapid.SampledFrom([]string{"", "mine", "theirs"}).Draw(t, "event tenant"),
				EventType: "X",
			}}
			req.Events = append(req.Events, e)
		}
		return req, md
	case "ReadStream":
		return &pb.ReadStreamRequest{
			TenantId: tenant.Draw(t, "tenant"), AggregateId: id.Draw(t, "id"), FromAggregateNonce: number.Draw(t, "from"),
			MaxCount: uint32(rapid.IntRange(0, 9).Draw(t, "max")), Forward: rapid.Bool().Draw(t, "forward"),
		}, md
	case "ReadAll":
		return &pb.ReadAllRequest{
			TenantId: tenant.Draw(t, "tenant"), FromGlobalNonce: number.Draw(t, "from"),
			MaxCount: uint32(rapid.IntRange(0, 9).Draw(t, "max")), Forward: rapid.Bool().Draw(t, "forward"),
		}, md
	}
	md.Set("evolve-client", "1")
	return &pb.SubscribeRequest{
		TenantId: tenant.Draw(t, "tenant"), AggregateIdPrefix: id.Draw(t, "prefix"), FromGlobalNonce: number.Draw(t, "from"),
	}, md
}

// TestTenantsAreApart sends requests of every shape as a client that may use one
// tenant. No answer may contain a byte of another tenant, nothing of the other tenant
// may change, and the answers must not depend on whether the other tenant has data.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		backend, alone := theirs(t), memory.New()
		defer backend.Close()
		defer alone.Close()
		copyTenant(t, backend, alone, "mine")
		srv := server.New(backend, server.WithAuthenticator(onlyMine{}))
		without := server.New(alone, server.WithAuthenticator(onlyMine{}))
		before := dump(t, backend, "theirs")
		for range rapid.IntRange(1, 6).Draw(t, "requests") {
			req, md := drawRequest(t)
			ctx := metadata.NewIncomingContext(context.Background(), md)
			sent, err := proto.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := answers(ctx, srv, proto.Clone(req))
			want, wantErr := answers(ctx, without, proto.Clone(req))
			if a, b := show(got, err), show(want, wantErr); a != b {
				t.Fatalf("%v is answered with\n%s\nand without another tenant with\n%s", req, a, b)
			}
			if !bytes.Contains(sent, []byte(canary)) && strings.Contains(show(got, err), canary) {
				t.Fatalf("%v is answered with %s", req, show(got, err))
			}
		}
		if after := dump(t, backend, "theirs"); !slices.Equal(before, after) {
			t.Fatalf("the other tenant had %v, and now has %v", before, after)
		}
	})
}

// show returns an answer as text, without parts that differ from time to time.
func show(messages []proto.Message, err error) string {
	var b strings.Builder
	for _, m := range messages {
		var events []*pb.EventData
		switch m := m.(type) {
		case *pb.ReadStreamResponse:
			events = m.GetEvents()
		case *pb.ReadAllResponse:
			events = m.GetEvents()
		case *pb.SubscribeResponse:
			if m.GetEvent() != nil {
				events = []*pb.EventData{m.GetEvent()}
			}
		}
		for _, e := range events {
			e.GetMeta().RecordedTimeUnixMs = 0
		}
		text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		b.Write(text)
	}
	st := status.Convert(err)
	b.WriteString(st.Code().String() + st.Message())
	for _, d := range st.Details() {
		if d, ok := d.(proto.Message); ok {
			text, _ := proto.MarshalOptions{Deterministic: true}.Marshal(d)
			b.Write(text)
		}
	}
	return b.String()
}

// dump returns all events of a tenant.
func dump(t *rapid.T, backend store.Tenants, tenant string) []string {
	var all []string
	for _, r := range log(t, backend, tenant) {
		all = append(all, r.Stream.String()+r.ID+string(r.Data))
	}
	return all
}

func log(t *rapid.T, backend store.Tenants, tenant string) []store.Recorded {
	st, err := backend.Tenant(tenant)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := st.(store.Log)
	page, err := l.ReadAll(context.Background(), store.LogOptions{})
	if err != nil || !page.End {
		t.Fatalf("ReadAll = %v, end %t", err, page.End)
	}
	return page.Events
}

// copyTenant appends the events of a tenant to another backend.
func copyTenant(t *rapid.T, from, to store.Tenants, tenant string) {
	st, err := to.Tenant(tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range log(t, from, tenant) {
		if _, err := st.Append(context.Background(), r.Stream, store.Exactly(r.Version-1), []store.Event{r.Event}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneTenant(t *testing.T) {
	t.Parallel()
	type oneStore struct { // this is not a store.Tenants
		store.Store
		store.Log
	}
	st := newMemory(t)
	s := server.New(oneStore{st, st})
	req := rawAppend("acc-1", 0, 1)
	_, err := s.Append(t.Context(), proto.CloneOf(req))
	wantStatus(t, err, codes.PermissionDenied, "tenant_id 't' is not served here")
	req.TenantId = store.DefaultTenant
	if _, err := s.Append(t.Context(), req); err != nil {
		t.Errorf("Append to the default tenant = %v", err)
	}
	if page, err := st.Read(t.Context(), store.Stream{Type: "Account", ID: "acc-1"}, store.ReadOptions{}); err != nil || page.Head != 1 {
		t.Errorf("the store has %d events, %v; want 1", page.Head, err)
	}
}
