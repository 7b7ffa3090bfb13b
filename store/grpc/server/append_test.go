package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
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
		"a text that is too long to be sent back": {
			func(r *pb.AppendRequest) { r.Events[0].Meta.AggregateId = strings.Repeat("日", 1<<20) },
			codes.InvalidArgument, "event aggregate_id '" + strings.Repeat("日", 170) + "…' must match request aggregate_id 'acc-1'",
		},
		"a header that is too long to be sent back": {
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
			codes.InvalidArgument, "events[1].event_id is that of events[0] too",
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
