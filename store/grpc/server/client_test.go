package server_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
	"github.com/evolvego/evolve/store/grpc/server"
)

// saying returns the context of a request with this metadata, from a client of this
// package or from another one.
func saying(t *testing.T, ours bool, md ...string) context.Context {
	t.Helper()
	if ours {
		md = append(md, wire.MDClient, "1")
	}
	return metadata.NewIncomingContext(t.Context(), metadata.Pairs(md...))
}

// TestExpectedVersions sends what only a client of this package can expect of a stream:
// any version, or any but 0. For other clients, the version in the request counts.
func TestExpectedVersions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ours    bool
		said    []string
		missing codes.Code // of an append to a stream that is missing
		there   codes.Code // of an append to a stream that is at another version
	}{
		"any":            {true, []string{wire.MDExpected, wire.ExpectAny}, codes.OK, codes.OK},
		"exists":         {true, []string{wire.MDExpected, wire.ExpectExists}, codes.Aborted, codes.OK},
		"nothing":        {true, nil, codes.Aborted, codes.Aborted},
		"something else": {true, []string{wire.MDExpected, "all"}, codes.Aborted, codes.Aborted},
		"two things":     {true, []string{wire.MDExpected, wire.ExpectAny, wire.MDExpected, wire.ExpectExists}, codes.Aborted, codes.Aborted},
		"any, by a client that does not know of it": {false, []string{wire.MDExpected, wire.ExpectAny}, codes.Aborted, codes.Aborted},
	} {
		srv := server.New(newMemory(t))
		if _, err := srv.Append(t.Context(), rawAppend("there", 0, 2)); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]codes.Code{"missing": tt.missing, "there": tt.there} {
			if _, err := srv.Append(saying(t, tt.ours, tt.said...), rawAppend(id, 7, 1)); status.Code(err) != want {
				t.Errorf("%s: Append to the stream %q at version 7 = %v, want the code %s", name, id, err, want)
			}
		}
	}
}

// TestFilters reads the log and subscribes to it with the filters that only a client of
// this package can send. Others get everything.
func TestFilters(t *testing.T) {
	t.Parallel()
	srv := server.New(newMemory(t))
	for _, tt := range []struct{ stream, id, event string }{
		{"Account", "a1", "Opened"}, {"Order", "o1", "Placed"}, {"Account", "b1", "Closed"}, {"Order", "a2", "Opened"}, {"User", "u1", "Named"},
	} {
		req := rawAppend(tt.id, 0, 1)
		req.AggregateType, req.Events[0].Meta.EventType = tt.stream, tt.event
		if _, err := srv.Append(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		ours bool
		said []string
		want []uint64
	}{
		"nothing":           {true, nil, []uint64{1, 2, 3, 4, 5}},
		"a stream type":     {true, []string{wire.MDStreamType, "Account"}, []uint64{1, 3}},
		"two stream types":  {true, []string{wire.MDStreamType, "Account", wire.MDStreamType, "User"}, []uint64{1, 3, 5}},
		"an event type":     {true, []string{wire.MDEventType, "Opened"}, []uint64{1, 4}},
		"an id":             {true, []string{wire.MDIDPrefix, "a"}, []uint64{1, 4}},
		"all of them":       {true, []string{wire.MDStreamType, "Order", wire.MDEventType, "Opened", wire.MDIDPrefix, "a"}, []uint64{4}},
		"by another client": {false, []string{wire.MDStreamType, "Order", wire.MDEventType, "Opened", wire.MDIDPrefix, "a"}, []uint64{1, 2, 3, 4, 5}},
	} {
		ctx := saying(t, tt.ours, tt.said...)
		resp, err := srv.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t", Forward: true})
		if got := positions(resp.GetEvents()); err != nil || !slices.Equal(got, tt.want) || resp.GetNextFromGlobalNonce() != 6 {
			t.Errorf("%s: ReadAll = %d, next %d, %v; want %d, next 6", name, got, resp.GetNextFromGlobalNonce(), err, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		said   []string
		prefix string
		want   []uint64
	}{
		"a stream type": {[]string{wire.MDStreamType, "Account"}, "", []uint64{1, 3}},
		"an event type": {[]string{wire.MDEventType, "Opened"}, "", []uint64{1, 4}},
		"an id":         {nil, "a", []uint64{1, 4}},
	} {
		sent, err := answers(saying(t, true, tt.said...), srv, &pb.SubscribeRequest{TenantId: "t", AggregateIdPrefix: tt.prefix})
		var got []uint64
		for _, m := range sent {
			if e, _ := m.(*pb.SubscribeResponse); e.GetEvent().GetMeta().GetEventId() != "" {
				got = append(got, e.GetEvent().GetMeta().GetGlobalNonce())
			}
		}
		if status.Code(err) != codes.Canceled || !slices.Equal(got, tt.want) {
			t.Errorf("%s: Subscribe = %d, %v; want %d", name, got, err, tt.want)
		}
	}
}

// TestHeadInTheTrailer reads pages: a client of this package is told the head, and can
// tell the server from others by that.
func TestHeadInTheTrailer(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("a", 0, 3))
	s.mustAppend(t, rawAppend("b", 0, 2))
	for _, tt := range []struct {
		said        []string
		stream, log []string
	}{{[]string{wire.MDClient, "1", wire.MDAggregateType, "Account"}, []string{"3"}, []string{"5"}}, {nil, nil, nil}} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), tt.said...)
		var stream, log metadata.MD
		_, err := s.ReadStream(ctx, &pb.ReadStreamRequest{TenantId: "t", AggregateId: "a", Forward: true, MaxCount: 1}, gogrpc.Trailer(&stream))
		_, err2 := s.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t", Forward: true, MaxCount: 1}, gogrpc.Trailer(&log))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(stream.Get(wire.MDHead), tt.stream) || !slices.Equal(log.Get(wire.MDHead), tt.log) {
			t.Errorf("a client that says %q is told the heads %q and %q, want %q and %q", tt.said, stream.Get(wire.MDHead), log.Get(wire.MDHead), tt.stream, tt.log)
		}
	}
}

// TestStreamTypes reads two streams that have one id. Only a client of this package can
// say which one it means; for others it is the older one.
func TestStreamTypes(t *testing.T) {
	t.Parallel()
	srv := server.New(newMemory(t))
	for n, name := range []string{"Order", "Account"} {
		req := rawAppend("a", 0, n+1)
		req.AggregateType = name
		if _, err := srv.Append(saying(t, true), req); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		ours bool
		said []string
		want int
	}{
		"the older one":             {true, []string{wire.MDAggregateType, "Order"}, 1},
		"the other one":             {true, []string{wire.MDAggregateType, "Account"}, 2},
		"one that is missing":       {true, []string{wire.MDAggregateType, "User"}, 0},
		"no type":                   {true, nil, 1},
		"two types":                 {true, []string{wire.MDAggregateType, "Account", wire.MDAggregateType, "User"}, 1},
		"a type, by another client": {false, []string{wire.MDAggregateType, "Account"}, 1},
	} {
		resp, err := srv.ReadStream(saying(t, tt.ours, tt.said...), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "a", Forward: true})
		if err != nil || len(resp.GetEvents()) != tt.want {
			t.Errorf("%s: ReadStream = %d events, %v; want %d", name, len(resp.GetEvents()), err, tt.want)
		}
	}
	_, err := srv.ReadStream(saying(t, true, wire.MDAggregateType, "a\x00b"), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "a", Forward: true})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("ReadStream of a type with a NUL byte = %v, want INVALID_ARGUMENT", err)
	}
}
