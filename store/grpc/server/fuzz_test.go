package server_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// expectedCodes are the codes that a client can get, whatever it sends: never INTERNAL
// or UNKNOWN.
func expectedCodes() []codes.Code {
	return []codes.Code{
		codes.OK, codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Aborted, codes.AlreadyExists,
	}
}

// FuzzRequests sends arbitrary bytes that are a request. The server must never panic
// and never return INTERNAL, and must be able to read what it has recorded.
func FuzzRequests(f *testing.F) {
	for _, req := range []proto.Message{
		rawAppend("acc-1", 0, 2), keyed("k", "acc-1", 3, 1),
		&pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", FromAggregateNonce: 1, MaxCount: 2, Forward: true},
		&pb.ReadAllRequest{TenantId: "t", FromGlobalNonce: 1<<63 - 1, MaxCount: 1},
		&pb.SubscribeRequest{TenantId: "t", AggregateIdPrefix: "acc", FromGlobalNonce: 2},
	} {
		b, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		for kind := range byte(4) {
			f.Add(kind, kind%2 == 0, b)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, known bool, b []byte) {
		handleBytes(t, kind, known, b)
	})
}

func handleBytes(t rapid.TB, kind byte, known bool, b []byte) {
	t.Helper()
	req := []proto.Message{
		new(pb.AppendRequest), new(pb.ReadStreamRequest), new(pb.ReadAllRequest), new(pb.SubscribeRequest),
	}[kind%4]
	if proto.Unmarshal(b, req) != nil {
		return // it does not reach the server
	}
	md := metadata.MD{}
	if _, ok := req.(*pb.SubscribeRequest); known || ok {
		md.Set("evolve-client", "1")
	}
	backend := memory.New()
	defer backend.Close()
	srv := server.New(backend)
	ctx := metadata.NewIncomingContext(context.Background(), md)
	if _, err := srv.Append(ctx, rawAppend("acc-1", 0, 3)); err != nil {
		t.Fatal(err)
	}
	_, err := answers(ctx, srv, proto.Clone(req))
	if code := status.Code(err); !slices.Contains(expectedCodes(), code) && !isSubscribe(req, code) {
		t.Fatalf("%v is answered with %v", req, err)
	}
	if sent, ok := req.(*pb.AppendRequest); ok && err == nil {
		wantRecorded(ctx, t, srv, sent)
	}
}

// isSubscribe reports whether req is a subscription that was ended after it had caught
// up.
func isSubscribe(req proto.Message, code codes.Code) bool {
	_, ok := req.(*pb.SubscribeRequest)
	return ok && code == codes.Canceled
}

// wantRecorded fails unless the events of req can be read as they were sent.
func wantRecorded(ctx context.Context, t rapid.TB, srv *server.Server, req *pb.AppendRequest) {
	t.Helper()
	page, err := srv.ReadAll(ctx, &pb.ReadAllRequest{TenantId: req.GetTenantId(), FromGlobalNonce: 1<<63 - 1, MaxCount: 1})
	if err != nil || len(page.GetEvents()) != 1 {
		t.Fatalf("ReadAll after an append = %v, %v", page, err)
	}
	got, want := page.GetEvents()[0], req.GetEvents()[len(req.GetEvents())-1]
	m := want.GetMeta()
	m.TenantId, m.AggregateId, m.AggregateType = req.GetTenantId(), req.GetAggregateId(), req.GetAggregateType()
	m.GlobalNonce, m.RecordedTimeUnixMs = got.GetMeta().GetGlobalNonce(), got.GetMeta().GetRecordedTimeUnixMs()
	if m.GetContentType() == "" {
		m.ContentType = "application/octet-stream"
	}
	if md, _ := metadata.FromIncomingContext(ctx); m.GetTimestampUnixMs() == 0 && len(md["evolve-client"]) > 0 {
		m.TimestampUnixMs = m.GetRecordedTimeUnixMs()
	}
	want.ProtoReflect().SetUnknown(nil)
	m.ProtoReflect().SetUnknown(nil)
	if !proto.Equal(got, want) {
		t.Fatalf("appended %v, read %v", want, got)
	}
}

// TestKeepsAsSent appends events with arbitrary values in every field, and reads them.
func TestKeepsAsSent(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 20, 200), rapid.SampledFrom([]string{"untyped", "%", "日本"}))
	name := rapid.Custom(func(t *rapid.T) string { return "n" + text.Draw(t, "name") })
	rapid.Check(t, func(t *rapid.T) {
		req := &pb.AppendRequest{
			TenantId: "t", AggregateId: name.Draw(t, "id"), AggregateType: name.Draw(t, "type"),
			IdempotencyKey: text.Draw(t, "key"),
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "events") {
			req.Events = append(req.Events, &pb.EventData{
				Payload: rapid.SliceOf(rapid.Byte()).Draw(t, "payload"),
				Meta: &pb.EventMetadata{
					EventId: string(rune('a'+i)) + text.Draw(t, "event id"), AggregateNonce: uint64(i + 1), EventType: text.Draw(t, "event type"),
					EventVersion: rapid.Uint32().Draw(t, "version"), ContentType: text.Draw(t, "content type"), ContentSchema: text.Draw(t, "schema"),
					CorrelationId: text.Draw(t, "correlation"), CausationId: text.Draw(t, "causation"), ActorId: text.Draw(t, "actor"),
					TimestampUnixMs: rapid.Uint64Range(0, 253402300799999).Draw(t, "time"), PayloadSha256: rapid.SliceOf(rapid.Byte()).Draw(t, "sum"),
					Headers: rapid.MapOfN(name, text, 0, 4).Draw(t, "headers"),
				},
			})
		}
		backend := memory.New()
		defer backend.Close()
		srv, ctx := server.New(backend), context.Background()
		_, err := srv.Append(ctx, proto.CloneOf(req))
		if status.Code(err) == codes.InvalidArgument {
			return // a NUL byte
		}
		if err != nil {
			t.Fatal(err)
		}
		wantRecorded(ctx, t, srv, req)
	})
}

// TestAnyBytes is FuzzRequests with bytes that are made from valid requests.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		req, md := drawRequest(t)
		b, err := proto.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			if len(b) > 0 {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		handleBytes(t, byte(rapid.IntRange(0, 3).Draw(t, "kind")), len(md) > 0, b)
	})
}
