package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// python does what the existing Python client does: one page of 1,000 for every load,
// whatever is_end says, and everything it writes in the payload.
type python struct{ client pb.EventStoreClient }

func (p python) load(ctx context.Context, id string) ([]*pb.EventData, error) {
	page, err := p.client.ReadStream(ctx, &pb.ReadStreamRequest{
		TenantId: "t", AggregateId: id, FromAggregateNonce: 1, MaxCount: 1000, Forward: true,
	})
	return page.GetEvents(), err
}

// save appends a deposit after version, as its command handler does; it retries while
// the status is ABORTED.
func (p python) save(ctx context.Context, stream string, cents int) error {
	name, id, _ := strings.Cut(stream, "-")
	for {
		events, err := p.load(ctx, id)
		if err != nil {
			return err
		}
		payload, err := json.Marshal(map[string]int{"cents": cents})
		if err != nil {
			return err
		}
		at := uint64(time.Now().UnixMilli())
		_, err = p.client.Append(ctx, &pb.AppendRequest{
			TenantId: "t", AggregateId: id, AggregateType: name, ExpectedAggregateNonce: uint64(len(events)),
			Events: []*pb.EventData{{
				Meta: &pb.EventMetadata{
					EventId: store.NewID(), AggregateId: id, AggregateType: name, AggregateNonce: uint64(len(events) + 1),
					EventType: "Deposited", EventVersion: 1, ContentType: "application/json", TenantId: "t",
					TimestampUnixMs: at, RecordedTimeUnixMs: at,
				},
				Payload: payload,
			}},
		})
		if status.Code(err) != codes.Aborted {
			return err
		}
	}
}

func TestPythonClient(t *testing.T) {
	t.Parallel()
	backend := newMemory(t)
	s := serveRaw(t, backend)
	p := python{pb.NewEventStoreClient(s.dial(t, gogrpc.WithUserAgent("grpc-python-asyncio/1.62.0")))}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 10 {
				if err := p.save(t.Context(), "Account-acc-1", 100*w+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	events, err := p.load(t.Context(), "acc-1")
	if err != nil || len(events) != 40 {
		t.Fatalf("there are %d events, %v; want 40", len(events), err)
	}
	newest, err := s.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t", FromGlobalNonce: math.MaxInt64, MaxCount: 1})
	if err != nil || len(newest.GetEvents()) != 1 || newest.GetEvents()[0].GetMeta().GetGlobalNonce() != 40 {
		t.Errorf("the newest event is %v, %v", newest, err)
	}

	// The same stream for a Go program on the backend, and an append by that program.
	tenant, err := backend.Tenant("t")
	if err != nil {
		t.Fatal(err)
	}
	account := store.Stream{Type: "Account", ID: "acc-1"}
	page, err := tenant.Read(t.Context(), account, store.ReadOptions{})
	if err != nil || page.Head != 40 || string(page.Events[7].Data) != string(events[7].GetPayload()) || page.Events[7].Schema != 1 {
		t.Errorf("Read(%s) = head %d, %v; want the 40 events", account, page.Head, err)
	}
	direct(t, backend, "t", account, 1)
	direct(t, backend, "t", store.Stream{Type: "Order", ID: "o-1"}, 2)
	if err := p.save(t.Context(), "Order-o-1", 1); err != nil {
		t.Errorf("append to a stream that was created without the server = %v", err)
	}
	for id, want := range map[string]int{"acc-1": 41, "o-1": 3} {
		if events, err := p.load(t.Context(), id); err != nil || len(events) != want {
			t.Errorf("load of %q = %d events, %v; want %d", id, len(events), err, want)
		}
	}
}

// TestTypeScriptClient reads like the existing TypeScript client: pages of 200 until
// isEnd, no number above 2^53-1, and conflicts recognized by a word of the message.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	const n = 1000 // a multiple of the page size
	s.mustAppend(t, rawAppend("acc-1", 0, n))
	var read []uint64
	for from, end, pages := uint64(1), false, 0; !end; pages++ {
		page, err := s.ReadStream(t.Context(), &pb.ReadStreamRequest{
			TenantId: "t", AggregateId: "acc-1", FromAggregateNonce: from, MaxCount: 200, Forward: true,
		})
		if err != nil || pages > n/200 {
			t.Fatalf("page %d = %v", pages, err)
		}
		read = append(read, nonces(page.GetEvents())...)
		from, end = page.GetNextFromAggregateNonce(), page.GetIsEnd()
		for _, e := range page.GetEvents() {
			if e.GetMeta().GetGlobalNonce() > store.MaxVersion || from > store.MaxVersion {
				t.Fatal("a number is too large")
			}
		}
	}
	if len(read) != n || !slices.IsSorted(read) {
		t.Errorf("read %d events, want %d in order", len(read), n)
	}
	_, err := s.Append(t.Context(), rawAppend("acc-1", 0, 1))
	if !strings.Contains(fmt.Sprint(err), "precondition") {
		t.Errorf("conflict = %v, which lacks the word", err)
	}
}
