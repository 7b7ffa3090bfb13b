package server_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/server"
)

func nonces(events []*pb.EventData) []uint64 {
	var out []uint64
	for _, e := range events {
		out = append(out, e.GetMeta().GetAggregateNonce())
	}
	return out
}

func positions(events []*pb.EventData) []uint64 {
	var out []uint64
	for _, e := range events {
		out = append(out, e.GetMeta().GetGlobalNonce())
	}
	return out
}

func TestReadStream(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("other", 0, 3))
	s.mustAppend(t, rawAppend("acc-1", 0, 5))
	type req = pb.ReadStreamRequest
	for name, tt := range map[string]struct {
		req  *req
		want []uint64
		end  bool
		next uint64
	}{
		"forward":               {&req{FromAggregateNonce: 1, MaxCount: 10, Forward: true}, []uint64{1, 2, 3, 4, 5}, true, 6},
		"forward from 0":        {&req{MaxCount: 10, Forward: true}, []uint64{1, 2, 3, 4, 5}, true, 6},
		"exactly all":           {&req{FromAggregateNonce: 1, MaxCount: 5, Forward: true}, []uint64{1, 2, 3, 4, 5}, true, 6},
		"a page":                {&req{FromAggregateNonce: 2, MaxCount: 2, Forward: true}, []uint64{2, 3}, false, 4},
		"the last page":         {&req{FromAggregateNonce: 4, MaxCount: 2, Forward: true}, []uint64{4, 5}, true, 6},
		"from beyond":           {&req{FromAggregateNonce: 6, MaxCount: 10, Forward: true}, nil, true, 6},
		"from far beyond":       {&req{FromAggregateNonce: math.MaxUint64, MaxCount: 10, Forward: true}, nil, true, math.MaxUint64},
		"max 0":                 {&req{FromAggregateNonce: 1, Forward: true}, []uint64{1, 2, 3, 4, 5}, true, 6},
		"backward":              {&req{FromAggregateNonce: 5, MaxCount: 2}, []uint64{5, 4}, false, 3},
		"backward to the end":   {&req{FromAggregateNonce: 2, MaxCount: 5}, []uint64{2, 1}, true, 0},
		"backward, exactly all": {&req{FromAggregateNonce: 5, MaxCount: 5}, []uint64{5, 4, 3, 2, 1}, true, 0},
		"backward from 2^63-1":  {&req{FromAggregateNonce: math.MaxInt64, MaxCount: 1}, []uint64{5}, false, 4},
		"backward from 2^64-1":  {&req{FromAggregateNonce: math.MaxUint64, MaxCount: 1}, []uint64{5}, false, 4},
		"backward from 0":       {&req{MaxCount: 1}, nil, true, 0},
		"missing":               {&req{AggregateId: "missing", FromAggregateNonce: 7, MaxCount: 2, Forward: true}, nil, true, 7},
		"missing, from 0":       {&req{AggregateId: "missing", Forward: true}, nil, true, 1},
		"missing, backward":     {&req{AggregateId: "missing", FromAggregateNonce: math.MaxInt64, MaxCount: 1}, nil, true, 0},
		"another tenant's":      {&req{TenantId: "u", FromAggregateNonce: 1, Forward: true}, nil, true, 1},
		"the largest max":       {&req{MaxCount: math.MaxUint32, Forward: true}, []uint64{1, 2, 3, 4, 5}, true, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.req.GetTenantId() == "" {
				tt.req.TenantId = "t"
			}
			if tt.req.GetAggregateId() == "" {
				tt.req.AggregateId = "acc-1"
			}
			got, err := s.ReadStream(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(nonces(got.GetEvents()), tt.want) || got.GetIsEnd() != tt.end || got.GetNextFromAggregateNonce() != tt.next {
				t.Errorf("ReadStream(%v) = %v, end %t, next %d; want %v, %t, %d", tt.req, nonces(got.GetEvents()),
					got.GetIsEnd(), got.GetNextFromAggregateNonce(), tt.want, tt.end, tt.next)
			}
		})
	}
	_, err := s.ReadStream(t.Context(), &req{AggregateId: "acc-1"})
	wantStatus(t, err, codes.Unauthenticated, "tenant_id is required on ReadStreamRequest")
	_, err = s.ReadStream(t.Context(), &req{TenantId: "t"})
	wantStatus(t, err, codes.InvalidArgument, "aggregate_id is required on ReadStreamRequest")
	_, err = s.ReadStream(t.Context(), &req{TenantId: "empty", AggregateId: "a\x00b"})
	wantStatus(t, err, codes.InvalidArgument, "aggregate_id has a NUL byte")
	_, err = s.ReadStream(t.Context(), &req{TenantId: "t\x00", AggregateId: "a"})
	wantStatus(t, err, codes.InvalidArgument, "tenant_id has a NUL byte")
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	for i := range 12 {
		s.mustAppend(t, rawAppend(fmt.Sprintf("acc-%d", i), 0, 100))
	}
	few := rawAppend("few", 0, 3)
	few.TenantId = "few"
	s.mustAppend(t, few)
	span := func(from, to int) (out []uint64) {
		for step := 1 - 2*b2i(to < from); from != to+step; from += step {
			out = append(out, uint64(from))
		}
		return out
	}
	type req = pb.ReadAllRequest
	for name, tt := range map[string]struct {
		req  *req
		want []uint64
		end  bool
		next uint64
	}{
		"max 0":                  {&req{Forward: true}, span(1, 100), false, 101},
		"max above 1000":         {&req{Forward: true, MaxCount: 5000}, span(1, 1000), false, 1001},
		"the rest":               {&req{Forward: true, MaxCount: 5000, FromGlobalNonce: 1001}, span(1001, 1200), true, 1201},
		"exactly the rest":       {&req{Forward: true, MaxCount: 200, FromGlobalNonce: 1001}, span(1001, 1200), true, 1201},
		"beyond":                 {&req{Forward: true, FromGlobalNonce: 1201}, nil, true, 1201},
		"the newest":             {&req{FromGlobalNonce: math.MaxInt64, MaxCount: 1}, span(1200, 1200), false, 1199},
		"backward":               {&req{FromGlobalNonce: 10, MaxCount: 3}, span(10, 8), false, 7},
		"backward to the end":    {&req{FromGlobalNonce: 3, MaxCount: 100}, span(3, 1), true, 0},
		"backward from 0":        {&req{}, nil, true, 0},
		"of another tenant":      {&req{TenantId: "few", Forward: true}, span(1, 3), true, 4},
		"of tenant zero":         {&req{TenantId: "none", Forward: true}, nil, true, 0},
		"newest of an empty log": {&req{TenantId: "none", FromGlobalNonce: math.MaxInt64, MaxCount: 1}, nil, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.req.GetTenantId() == "" {
				tt.req.TenantId = "t"
			}
			got, err := s.ReadAll(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(positions(got.GetEvents()), tt.want) || got.GetIsEnd() != tt.end || got.GetNextFromGlobalNonce() != tt.next {
				t.Errorf("ReadAll(%v) = %v, end %t, next %d; want %v, %t, %d", tt.req, positions(got.GetEvents()),
					got.GetIsEnd(), got.GetNextFromGlobalNonce(), tt.want, tt.end, tt.next)
			}
		})
	}
	_, err := s.ReadAll(t.Context(), &req{})
	wantStatus(t, err, codes.Unauthenticated, "tenant_id is required on ReadAllRequest")
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestPagesAreBoundedByBytes reads events that are too large for one message.
func TestPagesAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	const events = 120
	for i := range uint64(events / 10) {
		req := rawAppend("acc-1", i*10, 10)
		for _, e := range req.GetEvents() {
			e.Payload = make([]byte, 100<<10)
		}
		s.mustAppend(t, req)
	}
	for n := range 4 {
		forward, ctx := n%2 == 0, t.Context()
		if n >= 2 { // a client of this package is told where the store continues
			ctx = metadata.AppendToOutgoingContext(ctx, "evolve-client", "1")
		}
		from, seen, pages := uint64(1), uint64(0), 0
		if !forward {
			from = events
		}
		for end := false; !end; pages++ {
			page, err := s.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t", FromGlobalNonce: from, MaxCount: 1000, Forward: forward})
			if err != nil {
				t.Fatal(err)
			}
			if size := proto.Size(page); size > 3_700_000 || size < 3_000_000 && !page.GetIsEnd() {
				t.Errorf("a page has %d bytes", size)
			}
			for i, got := range positions(page.GetEvents()) {
				if want := seen + uint64(i) + 1; forward && got != want || !forward && got != events+1-want {
					t.Fatalf("event %d is %d", want, got)
				}
			}
			seen += uint64(len(page.GetEvents()))
			from, end = page.GetNextFromGlobalNonce(), page.GetIsEnd()
		}
		if seen != events || pages != 4 {
			t.Errorf("read %d events in %d pages, want %d in 4", seen, pages, events)
		}
	}
}

// TestPageThatPythonTakesForAll reads a stream that does not fit into one page, as
// clients based on grpc-python do, which do not check whether there is more.
func TestPageThatPythonTakesForAll(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	for version := range uint64(10) {
		req := rawAppend("acc-1", version, 1)
		req.Events[0].Payload = make([]byte, 600_000)
		s.mustAppend(t, req)
	}
	python := pb.NewEventStoreClient(s.dial(t, gogrpc.WithUserAgent("grpc-python/1.60.0 grpc-c/37.0.0 (linux; chttp2)")))
	read := func(client pb.EventStoreClient, from uint64, n uint32, forward bool) (*pb.ReadStreamResponse, error) {
		return client.ReadStream(t.Context(), &pb.ReadStreamRequest{
			TenantId: "t", AggregateId: "acc-1", FromAggregateNonce: from, MaxCount: n, Forward: forward,
		})
	}
	for name, args := range map[string]struct {
		from    uint64
		n       uint32
		forward bool
	}{"all": {1, 1000, true}, "the default": {0, 0, true}, "the newest": {math.MaxInt64, 1000, false}, "one too many": {1, 7, true}} {
		_, err := read(python, args.from, args.n, args.forward)
		if text := status.Convert(err).Message(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(text, "only 6 of them fit") {
			t.Errorf("%s: %v, want RESOURCE_EXHAUSTED that says how many fit", name, err)
		}
		page, err := read(s.EventStoreClient, args.from, args.n, args.forward)
		if err != nil || len(page.GetEvents()) != 6 || page.GetIsEnd() {
			t.Errorf("%s, by another client: %d events, end %t, %v; want 6 and more to come", name, len(page.GetEvents()), page.GetIsEnd(), err)
		}
	}
	for from, want := range map[uint64][]uint64{1: {1, 2, 3, 4, 5, 6}, 6: {6, 7, 8, 9, 10}} {
		page, err := read(python, from, uint32(len(want)), true)
		if err != nil || !slices.Equal(nonces(page.GetEvents()), want) {
			t.Errorf("from %d, as many as fit: %v, %v", from, nonces(page.GetEvents()), err)
		}
	}
}

// TestPageOfExactlyTheLimit reads two events that just fit into a page of 3.5 MiB, and
// two that are one byte larger.
func TestPageOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	srv := server.New(newMemory(t))
	// read returns the page of a new stream of two events, the second with this payload.
	read := func(id string, payload int) (events []*pb.EventData, size int) {
		req := rawAppend(id, 0, 2)
		req.Events[0].Payload, req.Events[1].Payload = make([]byte, 1<<20), make([]byte, payload)
		if _, err := srv.Append(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		resp, err := srv.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: id, Forward: true})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetEvents(), proto.Size(&pb.ReadStreamResponse{Events: resp.GetEvents()})
	}
	const limit, guess = 7 << 19, 5<<19 - 1000
	_, size := read("a", guess)
	fits := guess + limit - size
	if events, size := read("b", fits); len(events) != 2 || size != limit {
		t.Errorf("a page has %d events of %d bytes, want 2 of %d", len(events), size, limit)
	}
	if events, size := read("c", fits+1); len(events) != 1 {
		t.Errorf("a page has %d events of %d bytes, want at most %d", len(events), size, limit)
	}
}
