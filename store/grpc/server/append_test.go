package server_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
	"github.com/evolvego/evolve/store/grpc/server"
)

func TestAppendChecks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(r *pb.AppendRequest)
		code    codes.Code
		message string
	}{
		"no tenant": {
			func(r *pb.AppendRequest) { r.TenantId = "" },
			codes.Unauthenticated, "tenant_id is required on AppendRequest",
		},
		"no id": {
			func(r *pb.AppendRequest) { r.AggregateId = "" },
			codes.InvalidArgument, "aggregate_id is required on AppendRequest",
		},
		"no type": {
			func(r *pb.AppendRequest) { r.AggregateType = "" },
			codes.InvalidArgument, "aggregate_type is required on AppendRequest",
		},
		"no events": {
			func(r *pb.AppendRequest) { r.Events = nil },
			codes.InvalidArgument, "AppendRequest.events must not be empty",
		},
		"no metadata": {
			func(r *pb.AppendRequest) { r.Events[1].Meta = nil },
			codes.InvalidArgument, "event.metadata is required for optimistic concurrency",
		},
		"nonce 0": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.AggregateNonce = 0 },
			codes.InvalidArgument, "aggregate_nonce must be >= 1 for all events",
		},
		"no event id": {
			func(r *pb.AppendRequest) { r.Events[0].Meta.EventId = "" },
			codes.InvalidArgument, "event_id must be provided (UUID/ULID recommended)",
		},
		"another id": {
			func(r *pb.AppendRequest) { r.Events[0].Meta.AggregateId = "acc-2" },
			codes.InvalidArgument, "event aggregate_id 'acc-2' must match request aggregate_id 'acc-1'",
		},
		"another type": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.AggregateType = "Order" },
			codes.InvalidArgument, "event aggregate_type 'Order' must match request aggregate_type 'Account'",
		},
		"another tenant": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.TenantId = "u" },
			codes.PermissionDenied, "event tenant_id 'u' does not match request tenant_id 't'",
		},
		"expected too low": {
			func(r *pb.AppendRequest) { r.ExpectedAggregateNonce = 2 },
			codes.Aborted, "append precondition failed",
		},
		"misnumbered": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.AggregateNonce = 6 },
			codes.InvalidArgument, "event 1 aggregate_nonce 6 must equal expected 5",
		},
		"misnumbered, too low": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.AggregateNonce = 4 },
			codes.InvalidArgument, "event 1 aggregate_nonce 4 must equal expected 5",
		},
		"misnumbered, in a new stream": {
			func(r *pb.AppendRequest) { r.AggregateId, r.ExpectedAggregateNonce = "new", 0 },
			codes.InvalidArgument, "event 0 aggregate_nonce 4 must equal expected 1",
		},
		"a text that is too long to be sent back": {
			func(r *pb.AppendRequest) { r.Events[0].Meta.AggregateId = strings.Repeat("日", 1<<20) },
			codes.InvalidArgument, "event aggregate_id '" + strings.Repeat("日", 170) + "…' must match request aggregate_id 'acc-1'",
		},
		"a header that is too long to send back": {
			func(r *pb.AppendRequest) {
				r.Events[0].Meta.Headers = map[string]string{strings.Repeat("h", 60<<10): "\x00"}
			},
			codes.InvalidArgument, "events[0].headers." + strings.Repeat("h", 495) + "… has a NUL byte",
		},
		"a conflict before misnumbered": {
			func(r *pb.AppendRequest) { r.ExpectedAggregateNonce, r.Events[1].Meta.AggregateNonce = 4, 9 },
			codes.Aborted, "append precondition failed",
		},
		"expected beyond every nonce": {
			func(r *pb.AppendRequest) {
				r.ExpectedAggregateNonce = 1<<64 - 3
				r.Events[0].Meta.AggregateNonce, r.Events[1].Meta.AggregateNonce = 1<<64-2, 1<<64-1
			},
			codes.Aborted, "append precondition failed",
		},
		"the last time": {
			func(r *pb.AppendRequest) {
				r.Events[0].Meta.TimestampUnixMs, r.ExpectedAggregateNonce = 253402300799999, 2
			},
			codes.Aborted, "append precondition failed",
		},
		"the first time": {
			func(r *pb.AppendRequest) {
				r.Events[0].Meta.TimestampUnixMs, r.ExpectedAggregateNonce = 1<<64-62135596799999, 2
			},
			codes.Aborted, "append precondition failed",
		},
		"before the first time": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.TimestampUnixMs = 1<<64 - 62135596800001 },
			codes.InvalidArgument, "events[1].timestamp_unix_ms is in the year 0, not in 1 to 9999",
		},
		"after the last time": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.TimestampUnixMs = 253402300800000 },
			codes.InvalidArgument, "events[1].timestamp_unix_ms is in the year 10000, not in 1 to 9999",
		},
		"NUL in a type": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.EventType = "\x00" },
			codes.InvalidArgument, "events[1].event_type has a NUL byte",
		},
		"NUL in a header": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.Headers = map[string]string{"a": "\x00"} },
			codes.InvalidArgument, "events[1].headers.a has a NUL byte",
		},
		"an id twice": {
			func(r *pb.AppendRequest) { r.Events[1].Meta.EventId = r.Events[0].Meta.EventId },
			codes.InvalidArgument, "events[1].event_id is the same as that of events[0]",
		},
		"NUL in an id": {
			func(r *pb.AppendRequest) { r.AggregateId = "a\x00" },
			codes.InvalidArgument, "aggregate_id has a NUL byte",
		},
	}
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("acc-1", 0, 3))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := rawAppend("acc-1", 3, 2)
			tt.change(req)
			_, err := s.Append(t.Context(), req)
			wantStatus(t, err, tt.code, tt.message)
		})
	}
}

func TestConflictDetails(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("other", 0, 4))
	s.mustAppend(t, rawAppend("acc-1", 0, 3))
	_, err := s.Append(t.Context(), rawAppend("acc-1", 1, 1))
	details := status.Convert(err).Details()
	want := &pb.ConcurrencyErrorDetail{
		TenantId: "t", AggregateId: "acc-1", ActualLastAggregateNonce: 3, ActualLastGlobalNonce: 7,
	}
	if len(details) != 1 {
		t.Fatalf("%v has details %v, want one", err, details)
	}
	if got, ok := details[0].(*pb.ConcurrencyErrorDetail); !ok || !proto.Equal(got, want) {
		t.Errorf("details = %v, want %v", details[0], want)
	}
}

// TestEventThatOthersCannotRead appends events exactly as large as a client with
// default settings receives, and larger ones. Every call can read the events that were
// accepted.
func TestEventThatOthersCannotRead(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	accepted, refused := 0, 0
	for _, size := range []int{3 << 20, 4<<20 - 1000, 4<<20 - 400, 4<<20 - 300, 4<<20 - 200, 4<<20 - 100, 4 << 20, 5 << 20} {
		req := rawAppend(fmt.Sprintf("acc-%d", size), 0, 1)
		req.Events[0].Payload = bytes.Repeat([]byte("x"), size)
		_, err := s.Append(t.Context(), req)
		if err != nil {
			refused++
			if text := status.Convert(err).Message(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(text, "events[0].payload makes a message of ") {
				t.Errorf("Append of %d bytes = %v, want RESOURCE_EXHAUSTED that says which event", size, err)
			}
			continue
		}
		accepted++
		page, err := s.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: req.GetAggregateId(), Forward: true})
		if err != nil || len(page.GetEvents()) != 1 {
			t.Errorf("ReadStream of %d bytes = %d events, %v", size, len(page.GetEvents()), err)
		}
	}
	if accepted < 3 || refused < 2 {
		t.Errorf("%d sizes were accepted and %d refused", accepted, refused)
	}
	stream, _ := s.subscribe(t, &pb.SubscribeRequest{TenantId: "t"})
	if got := take(t, stream, accepted); len(got) != accepted {
		t.Errorf("a subscription got %d events, want %d", len(got), accepted)
	}
	last := uint64(0)
	for range accepted {
		page, err := s.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", FromGlobalNonce: last + 1, MaxCount: 1, Forward: true})
		if err != nil || len(page.GetEvents()) != 1 {
			t.Fatalf("ReadAll from %d = %v", last+1, err)
		}
		last = page.GetNextFromGlobalNonce() - 1
	}
}

// TestTimestampZero checks that an event without a timestamp is read without one. Our
// client, which has no other way to say so, gets the time of recording.
func TestTimestampZero(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	s := serveRaw(t, st)
	req := ofDefault(rawAppend("acc-1", 0, 1))
	req.Events[0].Meta.TimestampUnixMs = 0
	s.mustAppend(t, req)
	known := metadata.AppendToOutgoingContext(t.Context(), "evolve-client", "1")
	if _, err := s.Append(known, func() *pb.AppendRequest {
		req := ofDefault(rawAppend("acc-1", 1, 1))
		req.Events[0].Meta.TimestampUnixMs = 0
		return req
	}()); err != nil {
		t.Fatal(err)
	}
	page, err := s.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: store.DefaultTenant, AggregateId: "acc-1", Forward: true})
	if err != nil || len(page.GetEvents()) != 2 {
		t.Fatalf("ReadStream = %v, %v", page, err)
	}
	first, second := page.GetEvents()[0].GetMeta(), page.GetEvents()[1].GetMeta()
	if first.GetTimestampUnixMs() != 0 || first.GetRecordedTimeUnixMs() == 0 || len(first.GetHeaders()) != 0 {
		t.Errorf("the event of another client is %v, want no timestamp", first)
	}
	if second.GetTimestampUnixMs() != second.GetRecordedTimeUnixMs() {
		t.Errorf("the event of our client is %v, want the time of recording", second)
	}
	kept, err := st.Read(t.Context(), store.Stream{Type: "Account", ID: "acc-1"}, store.ReadOptions{})
	if err != nil || !kept.Events[0].Time.Equal(kept.Events[0].RecordedAt) {
		t.Errorf("the store keeps the time %v, %v; want that of recording", kept.Events[0].Time, err)
	}
}

// TestTextsInMessages checks how a client's texts appear in the message of a status:
// unchanged, except for characters that would break a line of a log.
func TestTextsInMessages(t *testing.T) {
	t.Parallel()
	s := server.New(newMemory(t))
	long := strings.Repeat("é", 300)
	for text, want := range map[string]string{
		"acc-1":            "acc-1",
		"it's \"ours\" \\": "it's \"ours\" \\",
		"日本":               "日本",
		"a\nlevel=ERROR":   `a\nlevel=ERROR`,
		"a\x00b\x1b[2J":    `a\x00b\x1b[2J`,
		"caf\xe9":          `caf\xe9`,
		long:               strings.Repeat("é", 256) + "…",
	} {
		req := rawAppend("x", 0, 1)
		req.Events[0].Meta.AggregateId = text
		_, err := s.Append(t.Context(), req)
		wantStatus(t, err, codes.InvalidArgument, "event aggregate_id '"+want+"' must match request aggregate_id 'x'")
	}
}

// TestEventWithoutAType appends an event whose type is empty, which the protocol allows:
// the store has a name for it that filters can select, and clients see none.
func TestEventWithoutAType(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	srv := server.New(st)
	req := ofDefault(rawAppend("acc-1", 0, 1))
	req.Events[0].Meta.EventType = ""
	if _, err := srv.Append(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	page, err := srv.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: store.DefaultTenant, AggregateId: "acc-1", Forward: true})
	if meta := page.GetEvents()[0].GetMeta(); err != nil || meta.GetEventType() != "" || len(meta.GetHeaders()) != 0 {
		t.Errorf("ReadStream = %v, %v; want no type", page, err)
	}
	kept, err := st.ReadAll(t.Context(), store.LogOptions{Filter: store.Filter{EventTypes: []string{wire.NoType}}})
	if err != nil || len(kept.Events) != 1 {
		t.Errorf("the store has %d events of the type %q, %v; want one", len(kept.Events), wire.NoType, err)
	}
}

// TestEventOfExactlyTheLimit appends events that make the largest message that every
// client receives, and one that is a byte larger.
func TestEventOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	srv := server.New(newMemory(t))
	send := func(payload int) error {
		req := rawAppend("acc-1", 0, 1)
		req.Events[0].Payload = make([]byte, payload)
		_, err := srv.Append(t.Context(), req)
		return err
	}
	const guess = 4 << 20
	size, limit := 0, 0
	_, text, _ := strings.Cut(status.Convert(send(guess)).Message(), "makes a message of ")
	if _, err := fmt.Sscanf(text, "%d bytes, larger than max (%d)", &size, &limit); err != nil || limit != 4<<20 {
		t.Fatalf("the message is %q: %v", text, err)
	}
	fits := guess - (size - limit)
	if err := send(fits + 1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Append of a byte too many = %v, want RESOURCE_EXHAUSTED", err)
	}
	if err := send(fits); err != nil {
		t.Errorf("Append of what fits = %v", err)
	}
}

// TestReplayIsTold repeats an append: a client of this package is told that the events
// were recorded before, and others get nothing that they do not know.
func TestReplayIsTold(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	req := rawAppend("acc-1", 0, 1)
	for i, tt := range []struct{ client, want []string }{
		{[]string{wire.MDClient, "1"}, nil},
		{[]string{wire.MDClient, "1"}, []string{"1"}},
		{nil, nil},
	} {
		var trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), tt.client...)
		if _, err := s.Append(ctx, proto.CloneOf(req), gogrpc.Trailer(&trailer)); err != nil {
			t.Fatal(err)
		}
		if got := trailer.Get(wire.MDReplayed); !slices.Equal(got, tt.want) {
			t.Errorf("append %d: the trailer says %q about a replay, want %q", i+1, got, tt.want)
		}
	}
}
