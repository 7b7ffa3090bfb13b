package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// keyed is rawAppend with an idempotency key.
func keyed(key, id string, expected uint64, n int) *pb.AppendRequest {
	req := rawAppend(id, expected, n)
	req.IdempotencyKey = key
	return req
}

// ofDefault moves req to the default tenant.
func ofDefault(req *pb.AppendRequest) *pb.AppendRequest {
	req.TenantId = store.DefaultTenant
	return req
}

// hookedStore calls hook before each append.
type hookedStore struct {
	store.Store
	store.Log

	hook func()
}

func (h hookedStore) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	h.hook()
	return h.Store.Append(ctx, s, expected, events)
}

const keyTaken = "idempotency key 'k' already used with different payload"

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	s := serveRaw(t, st)
	first := keyed("k", "acc-1", 0, 2)
	first.Events[0].Meta.Headers = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	again := func(change func(r *pb.AppendRequest)) *pb.AppendRequest {
		req := proto.CloneOf(first)
		change(req)
		return req
	}
	want := s.mustAppend(t, proto.CloneOf(first))
	s.mustAppend(t, rawAppend("acc-1", 2, 1)) // the stream moves on
	restarted := serveRaw(t, st)              // knows nothing but the stream

	same := map[string]*pb.AppendRequest{
		"the same":                     again(func(r *pb.AppendRequest) {}),
		"another expected version":     again(func(r *pb.AppendRequest) { r.ExpectedAggregateNonce = 7 }),
		"what the server fills in":     again(func(r *pb.AppendRequest) { r.Events[0].Meta.TenantId = "t" }),
		"what the server sets":         again(func(r *pb.AppendRequest) { r.Events[0].Meta.GlobalNonce = 77 }),
		"the type on the events":       again(func(r *pb.AppendRequest) { r.Events[1].Meta.AggregateType = "Account" }),
		"the time that it is recorded": again(func(r *pb.AppendRequest) { r.Events[1].Meta.RecordedTimeUnixMs = 1 }),
	}
	other := map[string]*pb.AppendRequest{
		"another payload":  again(func(r *pb.AppendRequest) { r.Events[1].Payload = []byte("x") }),
		"another event id": again(func(r *pb.AppendRequest) { r.Events[0].Meta.EventId = "x" }),
		"another header":   again(func(r *pb.AppendRequest) { r.Events[0].Meta.Headers["a"] = "2" }),
		"a header renamed": again(func(r *pb.AppendRequest) {
			r.Events[0].Meta.Headers = map[string]string{"a": "1", "b": "2", "c": "3", "e": "4"}
		}),
		"another actor":        again(func(r *pb.AppendRequest) { r.Events[0].Meta.ActorId = "x" }),
		"a schema":             again(func(r *pb.AppendRequest) { r.Events[0].Meta.ContentSchema = "x" }),
		"a checksum":           again(func(r *pb.AppendRequest) { r.Events[0].Meta.PayloadSha256 = []byte{1} }),
		"another time":         again(func(r *pb.AppendRequest) { r.Events[0].Meta.TimestampUnixMs++ }),
		"other nonces":         again(func(r *pb.AppendRequest) { r.Events[0].Meta.AggregateNonce, r.Events[1].Meta.AggregateNonce = 4, 5 }),
		"one more":             again(func(r *pb.AppendRequest) { r.Events = append(r.Events, rawEvents(3, 1)...) }),
		"one less":             again(func(r *pb.AppendRequest) { r.Events = r.Events[:1] }),
		"others at the end":    keyed("k", "acc-1", 3, 1),
		"others with conflict": keyed("k", "acc-1", 1, 1),
	}
	for name, srv := range map[string]served{"at once": s, "after a restart": restarted} {
		for which, req := range same {
			if got, err := srv.Append(t.Context(), proto.CloneOf(req)); err != nil || !proto.Equal(got, want) {
				t.Errorf("%s, %s = %v, %v; want %v", name, which, got, err, want)
			}
		}
		for which, req := range other {
			_, err := srv.Append(t.Context(), proto.CloneOf(req))
			if status.Code(err) != codes.AlreadyExists {
				t.Errorf("%s, %s:", name, which)
			}
			wantStatus(t, err, codes.AlreadyExists, keyTaken)
		}
		srv.mustAppend(t, keyed("k", "acc-2"+name, 0, 1)) // the key is a different one elsewhere
	}
	s.mustAppend(t, keyed("k2", "acc-1", 3, 1))
	elsewhere := keyed("k", "acc-1", 0, 1)
	elsewhere.TenantId = "u"
	s.mustAppend(t, elsewhere)
}

// TestKeysThatAreNone checks which keys are refused.
func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, keyed(strings.Repeat("k", 512), "acc-1", 0, 1))
	for _, key := range []string{strings.Repeat("k", 513), "\x00", "k\x00"} {
		_, err := s.Append(t.Context(), keyed(key, "acc-1", 1, 1))
		wantStatus(t, err, codes.InvalidArgument, "idempotency_key has more than 512 bytes or a NUL byte")
	}
}

// TestIdempotencyKeyIsNotSeen reads an append that had a key.
func TestIdempotencyKeyIsNotSeen(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, keyed("secret", "acc-1", 0, 2))
	page, err := s.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true})
	if err != nil || len(page.GetEvents()) != 2 {
		t.Fatalf("ReadStream = %v, %v", page, err)
	}
	if strings.Contains(page.String(), "secret") || len(page.GetEvents()[0].GetMeta().GetHeaders()) != 0 {
		t.Errorf("ReadStream = %v, which shows the key", page)
	}
	for _, key := range []string{"eventstore.v1/idempotency_key", "eventstore.v1/content_schema", "eventstore.v1/x"} {
		forged := rawAppend("acc-1", 2, 1)
		forged.Events[0].Meta.Headers = map[string]string{key: "1 00 k"}
		_, err = s.Append(t.Context(), forged)
		wantStatus(t, err, codes.InvalidArgument, "header '"+key+"' is reserved")
	}
}

// TestKeyOfARetryUnderAnotherSpan repeats a batch with the tracing headers of another
// request: it is the same batch. Any other header makes it a different one.
func TestKeyOfARetryUnderAnotherSpan(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	first := keyed("k", "acc-1", 0, 2)
	first.Events[1].Meta.Headers = map[string]string{"traceparent": "00-1-1-01", "region": "eu", "B3": "1"}
	want := s.mustAppend(t, proto.CloneOf(first))
	for name, tt := range map[string]struct {
		headers map[string]string
		same    bool
	}{
		"another span":      {map[string]string{"traceparent": "00-2-2-01", "region": "eu", "B3": "2"}, true},
		"no span":           {map[string]string{"region": "eu"}, true},
		"more such headers": {map[string]string{"region": "eu", "tracestate": "a=1", "baggage": "u=1", "X-B3-TraceId": "1", "X-Request-ID": "7", "x-forwarded-for": "::1"}, true},
		"another region":    {map[string]string{"traceparent": "00-1-1-01", "region": "us"}, false},
		"no region":         {map[string]string{"traceparent": "00-1-1-01"}, false},
		"a similar name":    {map[string]string{"region": "eu", "traceparents": "1"}, false},
	} {
		req := proto.CloneOf(first)
		req.Events[1].Meta.Headers = tt.headers
		got, err := s.Append(t.Context(), req)
		if tt.same && (err != nil || !proto.Equal(got, want)) {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
		if !tt.same {
			wantStatus(t, err, codes.AlreadyExists, keyTaken)
		}
	}
	page, err := s.ReadStream(t.Context(), &pb.ReadStreamRequest{TenantId: "t", AggregateId: "acc-1", Forward: true})
	if err != nil || page.GetEvents()[1].GetMeta().GetHeaders()["traceparent"] != "00-1-1-01" {
		t.Errorf("ReadStream = %v, %v; want the headers of the first request", page, err)
	}
}

// TestKeyOfARetryThatNamesTheContentType repeats a batch without a content type, and
// names the one that this means.
func TestKeyOfARetryThatNamesTheContentType(t *testing.T) {
	t.Parallel()
	first := keyed("k", "acc-1", 0, 1)
	first.Events[0].Meta.ContentType = ""
	second := proto.CloneOf(first)
	second.Events[0].Meta.ContentType = store.OctetStream
	for _, batches := range [][]*pb.AppendRequest{{first, second}, {second, first}} {
		s := server.New(newMemory(t))
		for _, req := range batches {
			if got, err := s.Append(t.Context(), proto.CloneOf(req)); err != nil || got.GetLastGlobalNonce() != 1 {
				t.Errorf("Append with the content type %q = %v, %v; want position 1", req.GetEvents()[0].GetMeta().GetContentType(), got, err)
			}
		}
	}
}

// TestKeysKeepTextsApart sends batches whose texts are equal when joined, and differ in
// where one ends and the next begins.
func TestKeysKeepTextsApart(t *testing.T) {
	t.Parallel()
	meta := func(change func(m *pb.EventMetadata)) *pb.AppendRequest {
		req := keyed("k", "acc-1", 0, 2)
		for i, e := range req.GetEvents() {
			e.Payload = nil
			e.Meta = &pb.EventMetadata{EventId: fmt.Sprintf("e%d", i), AggregateNonce: uint64(i + 1), EventType: "ab", ContentType: "cd"}
		}
		change(req.GetEvents()[0].GetMeta())
		return req
	}
	batches := []*pb.AppendRequest{
		meta(func(m *pb.EventMetadata) {}),
		meta(func(m *pb.EventMetadata) { m.EventId, m.EventType = "e0a", "b" }),
		meta(func(m *pb.EventMetadata) { m.EventType, m.ContentType = "abc", "d" }),
		meta(func(m *pb.EventMetadata) { m.ContentType = "x" }),
		meta(func(m *pb.EventMetadata) { m.ContentType = "" }),
		meta(func(m *pb.EventMetadata) { m.CorrelationId = "x" }),
		meta(func(m *pb.EventMetadata) { m.CausationId = "x" }),
		meta(func(m *pb.EventMetadata) { m.ActorId = "x" }),
		meta(func(m *pb.EventMetadata) { m.Headers = map[string]string{"ab": "c"} }),
		meta(func(m *pb.EventMetadata) { m.Headers = map[string]string{"a": "bc"} }),
		meta(func(m *pb.EventMetadata) { m.Headers = map[string]string{"a": "b", "c": ""} }),
		meta(func(m *pb.EventMetadata) { m.EventVersion = 1 }),
		meta(func(m *pb.EventMetadata) { m.TimestampUnixMs = 1 }),
	}
	swapped := proto.CloneOf(batches[5])
	swapped.Events[0].Meta.CorrelationId, swapped.Events[1].Meta.CorrelationId = "", "x"
	moved := proto.CloneOf(batches[0])
	moved.Events[0].Payload, moved.Events[1].Payload = []byte("ab"), []byte("c")
	moved2 := proto.CloneOf(batches[0])
	moved2.Events[0].Payload, moved2.Events[1].Payload = []byte("a"), []byte("bc")
	otherType := proto.CloneOf(batches[0])
	otherType.AggregateType = "Accounte0"
	batches = append(batches, swapped, moved, moved2, otherType)
	known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1"))
	for i, a := range batches[:len(batches)-1] {
		s := server.New(newMemory(t))
		if _, err := s.Append(known, proto.CloneOf(a)); err != nil {
			t.Fatal(err)
		}
		for j, b := range batches[:len(batches)-1] {
			_, err := s.Append(known, proto.CloneOf(b))
			if i == j && err != nil {
				t.Errorf("batch %d again = %v", i, err)
			}
			if i != j && status.Code(err) != codes.AlreadyExists {
				t.Errorf("batch %d after %d = %v, want ALREADY_EXISTS", j, i, err)
			}
		}
	}
}

// TestOneKeyedAppendAtATime checks that appends with a key to one stream, including the
// search for the key, run one at a time, and that a waiting caller stops waiting when
// its context ends.
func TestOneKeyedAppendAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, release, entered := memory.New(), make(chan struct{}), 0
		s := server.New(hookedStore{Store: st, Log: st, hook: func() {
			entered++
			<-release
		}})
		known := metadata.NewIncomingContext(t.Context(), metadata.Pairs("evolve-client", "1"))
		results := make(chan error, 3)
		send := func(ctx context.Context, key, id string) {
			go func() {
				_, err := s.Append(ctx, ofDefault(keyed(key, id, 0, 1)))
				results <- err
			}()
			synctest.Wait()
		}
		send(known, "k", "acc-1")
		send(known, "l", "acc-1")
		if entered != 1 {
			t.Errorf("%d appends to one stream at a time, want 1", entered)
		}
		send(known, "k", "acc-2")
		if entered != 2 {
			t.Errorf("an append to another stream waits too")
		}
		brief, cancel := context.WithTimeout(known, time.Second)
		defer cancel()
		_, err := s.Append(brief, ofDefault(keyed("m", "acc-1", 0, 1)))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("an append that waits longer than its context = %v, want DEADLINE_EXCEEDED", err)
		}
		close(release)
		got := map[codes.Code]int{}
		for range 3 {
			got[status.Code(<-results)]++
		}
		if got[codes.OK] != 2 || got[codes.Aborted] != 1 {
			t.Errorf("the appends ended with %v, want two and a conflict", got)
		}
	})
}

// TestRefusedAppendUsesNoKey sends a conflicting batch, and then a good one.
func TestRefusedAppendUsesNoKey(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, newMemory(t))
	s.mustAppend(t, rawAppend("acc-1", 0, 1))
	_, err := s.Append(t.Context(), keyed("k", "acc-1", 0, 1))
	wantStatus(t, err, codes.Aborted, "append precondition failed")
	_, err = s.Append(t.Context(), keyed("k", "acc-1", 5, 1))
	wantStatus(t, err, codes.Aborted, "append precondition failed")
	s.mustAppend(t, keyed("k", "acc-1", 1, 1))
	_, err = s.Append(t.Context(), keyed("k", "acc-1", 2, 1))
	wantStatus(t, err, codes.AlreadyExists, keyTaken)
}

// TestKeyThatComesInBetween makes another server append with the key at the last
// moment, which brings the stream to the expected version.
func TestKeyThatComesInBetween(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	other := server.New(st)
	for _, expected := range []uint64{0, 1} {
		id := fmt.Sprintf("acc-%d", expected)
		hooked := hookedStore{Store: st, Log: st, hook: func() {
			if _, err := other.Append(t.Context(), ofDefault(keyed("k", id, 0, 1))); err != nil {
				t.Error(err)
			}
		}}
		_, err := server.New(hooked).Append(t.Context(), ofDefault(keyed("k", id, expected, 1)))
		if expected == 0 {
			wantStatus(t, err, codes.AlreadyExists, keyTaken)
		} else {
			wantStatus(t, err, codes.Aborted, "append precondition failed")
		}
	}
}

// TestConcurrentKeys lets many clients send the same append, or different ones, with
// one key to two servers of one backend. Equal appends get one answer; of different
// ones, one succeeds.
func TestConcurrentKeys(t *testing.T) {
	t.Parallel()
	st := newMemory(t)
	servers := []*server.Server{server.New(st), server.New(st)}
	for round := range 30 {
		id := fmt.Sprintf("acc-%d", round)
		same := keyed("k", id, 0, 3)
		var answers sync.Map
		var landed atomic.Int64
		var calls sync.WaitGroup
		for i := range 8 {
			req := proto.CloneOf(same)
			if round%2 == 1 {
				req = keyed("k", id, 0, 1)
			}
			calls.Go(func() {
				resp, err := servers[i%2].Append(t.Context(), req)
				switch {
				case err == nil:
					landed.Add(1)
					answers.Store(resp.GetLastGlobalNonce(), true)
				case round%2 == 0 || status.Code(err) != codes.AlreadyExists:
					t.Errorf("Append with a key that others use too = %v", err)
				}
			})
		}
		calls.Wait()
		distinct := 0
		answers.Range(func(any, any) bool { distinct++; return true })
		if want := int64(8 - 7*(round%2)); landed.Load() != want || distinct != 1 {
			t.Errorf("%d appends landed with %d answers, want %d and one", landed.Load(), distinct, want)
		}
	}
}

// TestKeysModel compares keys with a map, over two servers that restart at any time,
// with appends without keys in between.
func TestKeysModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := memory.New()
		defer st.Close()
		servers := []*server.Server{server.New(st), server.New(st)}
		type used struct {
			req  *pb.AppendRequest
			resp *pb.AppendResponse
		}
		known, head := map[string]used{}, map[string]uint64{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			srv := &servers[rapid.IntRange(0, 1).Draw(t, "server")]
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id")
			key := rapid.SampledFrom([]string{"", "k", "l", "a b"}).Draw(t, "key")
			expected := head[id] - min(head[id], uint64(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "behind")))
			req := keyed(key, id, expected, rapid.IntRange(1, 3).Draw(t, "events"))
			before, taken := known[id+"/"+key]
			if taken && rapid.Bool().Draw(t, "again") {
				req = proto.CloneOf(before.req)
			}
			resp, err := (*srv).Append(context.Background(), proto.CloneOf(req))
			switch {
			case key != "" && taken && proto.Equal(req, before.req):
				if err != nil || !proto.Equal(resp, before.resp) {
					t.Fatalf("the same with key %q = %v, %v; want %v", key, resp, err, before.resp)
				}
			case key != "" && taken:
				if status.Code(err) != codes.AlreadyExists {
					t.Fatalf("something else with key %q = %v, want ALREADY_EXISTS", key, err)
				}
			case expected != head[id]:
				if status.Code(err) != codes.Aborted {
					t.Fatalf("Append expecting %d at %d = %v, want ABORTED", expected, head[id], err)
				}
			default:
				if err != nil || resp.GetLastAggregateNonce() != expected+uint64(len(req.GetEvents())) {
					t.Fatalf("Append expecting %d = %v, %v", expected, resp, err)
				}
				head[id] = resp.GetLastAggregateNonce()
				if key != "" {
					known[id+"/"+key] = used{req, resp}
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				*srv = server.New(st)
			}
		}
	})
}

// TestHeadersThatAreNoKeys uses a store whose streams have headers with the name of a
// key that another program has written: they must not keep anybody from using a key.
func TestHeadersThatAreNoKeys(t *testing.T) {
	t.Parallel()
	digits := func(n int) string { return strings.Repeat("0", n) }
	for name, value := range map[string]string{
		"nothing": "", "only a key": "k", "no events": "0 " + digits(64) + " k", "no number": "x " + digits(64) + " k",
		"too few digits": "1 " + digits(62) + " k", "too many digits": "1 " + digits(66) + " k", "no digits": "1 " + strings.Repeat("x", 64) + " k",
	} {
		st := newMemory(t)
		event := store.Event{ID: "1", Type: "E", Meta: store.Metadata{Headers: map[string]string{wire.HeaderIdempotency: value}}}
		if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "acc-1"}, store.NoStream, []store.Event{event}); err != nil {
			t.Fatal(err)
		}
		if got, err := server.New(st).Append(t.Context(), ofDefault(keyed("k", "acc-1", 1, 1))); err != nil || got.GetLastAggregateNonce() != 2 {
			t.Errorf("Append with a key after a header with %s = %v, %v; want version 2", name, got, err)
		}
	}
}
