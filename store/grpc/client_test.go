package grpc_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wiretest"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

func TestOpenRefusesOptions(t *testing.T) {
	t.Parallel()
	conn, err := gogrpc.NewClient("passthrough:///nowhere", gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, tt := range map[string]struct {
		target string
		option grpc.Option
		field  string
	}{
		"no target":                  {"", grpc.Plaintext(), "target"},
		"a target with a connection": {"localhost:1", grpc.Conn(conn), "target"},
		"no tenant":                  {"localhost:1", grpc.Tenant(""), "tenant"},
		"no timeout":                 {"localhost:1", grpc.Timeout(0), "timeout"},
		"no page":                    {"localhost:1", grpc.PageSize(0), "page size"},
	} {
		_, err := grpc.Open(t.Context(), tt.target, tt.option)
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != tt.field {
			t.Errorf("Open with %s = %v, want an *InvalidError about %q", name, err, tt.field)
		}
	}
}

func TestOpenWithoutAServer(t *testing.T) {
	t.Parallel()
	h := &house{tb: t}
	h.start(newForeign())
	h.stop()
	_, err := grpc.Open(t.Context(), h.addr, grpc.Plaintext())
	if status.Code(err) != codes.Unavailable || store.Definite(err) {
		t.Fatalf("Open = %v, want an error with the code Unavailable", err)
	}
}

func TestOpenIsTLSUnlessAsked(t *testing.T) {
	t.Parallel()
	ours := wiretest.NewAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ours.Cert)
	conf := func(certificates ...tls.Certificate) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: certificates}
	}
	encrypted := listen(t, server.New(memory.New()), gogrpc.Creds(credentials.NewTLS(
		conf(ours.Issue(t, pkix.Name{CommonName: "server"})))))
	plain := listen(t, server.New(memory.New()))
	for name, tt := range map[string]struct {
		addr    string
		options []grpc.Option
		ok      bool
	}{
		"TLS":                              {encrypted, []grpc.Option{grpc.TLS(conf())}, true},
		"TLS with the roots of the system": {encrypted, nil, false},
		"plaintext to TLS":                 {encrypted, []grpc.Option{grpc.Plaintext()}, false},
		"TLS to plaintext":                 {plain, nil, false},
		"plaintext":                        {plain, []grpc.Option{grpc.Plaintext()}, true},
	} {
		st, err := grpc.Open(t.Context(), tt.addr, tt.options...)
		if (err == nil) != tt.ok {
			t.Errorf("Open with %s = %v, want success: %t", name, err, tt.ok)
		}
		if err == nil {
			_ = st.Close()
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	tokens, err := server.ReadTokens(strings.NewReader(fmt.Sprintf("ann acme %x\n", sha256.Sum256([]byte("secret")))))
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, server.New(memory.New(), server.WithAuthenticator(tokens)))
	st := open(t, addr, grpc.Bearer("secret"), grpc.Tenant("acme"))
	if _, err := st.Append(t.Context(), store.Stream{Type: "Numbers", ID: "n"}, store.NoStream, []store.Event{numbered(1)}); err != nil {
		t.Errorf("Append with a token = %v", err)
	}
	for want, options := range map[codes.Code][]grpc.Option{
		codes.Unauthenticated:  {grpc.Plaintext(), grpc.Tenant("acme"), grpc.Bearer("guess")},
		codes.PermissionDenied: {grpc.Plaintext(), grpc.Bearer("secret")},
	} {
		if _, err := grpc.Open(t.Context(), addr, options...); status.Code(err) != want {
			t.Errorf("Open = %v, want the code %s", err, want)
		}
	}
	other, err := st.Tenant("other")
	if err != nil {
		t.Fatal(err)
	}
	log, _ := other.(store.Log)
	for _, err := range log.Subscribe(t.Context(), store.LogOptions{}) {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("Subscribe to a tenant that is not allowed yielded %v, want the code PermissionDenied", err)
		}
	}
}

func TestConnStaysOpen(t *testing.T) {
	t.Parallel()
	addr := listen(t, server.New(memory.New()))
	conn, err := gogrpc.NewClient(addr, gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, option := range []grpc.Option{grpc.Plaintext(), grpc.TLS(nil)} { // which is ignored
		st, err := grpc.Open(t.Context(), "", option, grpc.Conn(conn))
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := eventstorev1.NewEventStoreClient(conn).ReadAll(t.Context(), &eventstorev1.ReadAllRequest{TenantId: "t"}); err != nil {
		t.Fatalf("a call over the connection after Close = %v", err)
	}
}

func TestAppendRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	st := openMemory(t)
	s := store.Stream{Type: "Numbers", ID: "n"}
	large := func(n int) []store.Event {
		events := make([]store.Event, n)
		for i := range events {
			events[i] = numbered(i + 1)
			events[i].Data = make([]byte, 3<<20)
		}
		return events
	}
	value, first := numbered(1), numbered(2)
	value.Data, value.Value = nil, 7
	first.Time = time.UnixMilli(0)
	for field, events := range map[string][]store.Event{
		"events[0].value": {value},
		"events[1].time":  {numbered(1), first},
		"events":          large(30),
	} {
		_, err := st.Append(t.Context(), s, store.NoStream, events)
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("Append = %v, want an *InvalidError about %s", err, field)
		}
	}
	old := numbered(3)
	old.Time = time.Date(1815, 12, 10, 1, 2, 3, 4_000_000, time.UTC)
	if _, err := st.Append(t.Context(), s, store.NoStream, []store.Event{old}); err != nil {
		t.Fatalf("Append after a refused one = %v", err)
	}
	page, err := st.Read(t.Context(), s, store.ReadOptions{})
	if err != nil || !page.Events[0].Time.Equal(old.Time) {
		t.Fatalf("Read = %+v, %v; want the time %s", page, err, old.Time)
	}
}

// TestAnswersThatAreTooLarge checks that the client requests a page in parts if it is
// larger than the client accepts.
func TestAnswersThatAreTooLarge(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, newForeign().with(quirks{Ends: "exact"})),
		grpc.DialOptions(gogrpc.WithDefaultCallOptions(gogrpc.MaxCallRecvMsgSize(10_000))))
	s := store.Stream{Type: "Numbers", ID: "n"}
	for i := range 30 {
		e := numbered(i + 1)
		e.Data = make([]byte, 1000)
		if _, err := st.Append(t.Context(), s, store.Exactly(uint64(i)), []store.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for e, err := range store.Events(t.Context(), st, s, 0) {
		if n++; err != nil || e.Version != uint64(n) {
			t.Fatalf("Events yielded version %d, %v; want %d", e.Version, err, n)
		}
	}
	page, err := st.ReadAll(t.Context(), store.LogOptions{Backward: true})
	if err != nil || n != 30 || len(page.Events) == 0 || page.Head != 30 {
		t.Fatalf("%d events; ReadAll = %d events, head %d, %v", n, len(page.Events), page.Head, err)
	}
	large := numbered(99)
	large.Data = make([]byte, 20_000)
	if _, err := st.Append(t.Context(), s, store.Exactly(30), []store.Event{large}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Read(t.Context(), s, store.ReadOptions{From: 31}); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("Read of an event that is larger than the largest answer =  %v, want the code ResourceExhausted", err)
	}
}

// TestIDOfAnotherType uses servers that identify a stream by its id alone.
func TestIDOfAnotherType(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, newForeign().with(quirks{Details: "none"})))
	account, order := store.Stream{Type: "Account", ID: "1"}, store.Stream{Type: "Order", ID: "1"}
	if _, err := st.Append(t.Context(), account, store.NoStream, []store.Event{numbered(1)}); err != nil {
		t.Fatal(err)
	}
	var invalid *store.InvalidError
	if page, err := st.Read(t.Context(), order, store.ReadOptions{}); !errors.As(err, &invalid) || invalid.Field != "stream.type" {
		t.Errorf("Read(%s) when %s exists =  %+v, %v; want an *InvalidError about stream.type", order, account, page, err)
	}
	for _, expected := range []store.Expected{store.NoStream, store.Any, store.Exists} {
		if _, err := st.Append(t.Context(), order, expected, []store.Event{numbered(2)}); !store.Definite(err) {
			t.Errorf("Append(%s, %s) when %s exists = %v, want it to be refused", order, expected, account, err)
		}
	}
}

// liar gives answers that the protocol does not allow.
type liar struct {
	*foreign
	events []*eventstorev1.EventData
}

func (l *liar) Register(r gogrpc.ServiceRegistrar) { eventstorev1.RegisterEventStoreServer(r, l) }

func (l *liar) ReadStream(_ context.Context, req *eventstorev1.ReadStreamRequest) (*eventstorev1.ReadStreamResponse, error) {
	if !req.GetForward() && req.GetMaxCount() == 1 { // a request for the head
		return &eventstorev1.ReadStreamResponse{Events: []*eventstorev1.EventData{rawEvent("1", 9)}}, nil
	}
	return &eventstorev1.ReadStreamResponse{Events: l.events}, nil
}

func (l *liar) ReadAll(_ context.Context, req *eventstorev1.ReadAllRequest) (*eventstorev1.ReadAllResponse, error) {
	if !req.GetForward() && req.GetMaxCount() == 1 {
		return &eventstorev1.ReadAllResponse{Events: []*eventstorev1.EventData{rawEvent("1", 9)}}, nil
	}
	return &eventstorev1.ReadAllResponse{Events: l.events}, nil
}

func rawEvent(id string, nonce uint64) *eventstorev1.EventData {
	return &eventstorev1.EventData{Meta: &eventstorev1.EventMetadata{
		EventId: fmt.Sprint("event ", nonce), AggregateId: id, AggregateType: "Account", AggregateNonce: nonce, GlobalNonce: nonce,
	}}
}

// TestLies checks that answers that violate the protocol lead to an error: not to a
// result, and not to an endless loop.
func TestLies(t *testing.T) {
	t.Parallel()
	pages := map[string][]*eventstorev1.EventData{
		"nothing, although there is a head": nil,
		"a gap":                             {rawEvent("1", 1), rawEvent("1", 3)},
		"a gap at the start":                {rawEvent("1", 2), rawEvent("1", 3)},
		"the wrong order":                   {rawEvent("1", 1), rawEvent("1", 1)},
		"another stream":                    {rawEvent("1", 1), rawEvent("2", 2)},
		"no metadata":                       {{}},
		"no nonce":                          {rawEvent("1", 0)},
		"a nonce that is too large":         {rawEvent("1", 1<<60)},
	}
	for name, events := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := open(t, listen(t, &liar{foreign: newForeign(), events: events}))
			page, err := st.Read(t.Context(), store.Stream{Type: "Account", ID: "1"}, store.ReadOptions{})
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Read of %s = %+v, %v; want an error", name, page, err)
			}
			if strings.HasPrefix(name, "a gap") || name == "another stream" { // a log may have these
				return
			}
			if page, err := st.ReadAll(t.Context(), store.LogOptions{}); err == nil {
				t.Errorf("ReadAll of %s = %+v, %v; want an error", name, page, err)
			}
		})
	}
}

// TestConflictsInEveryForm checks that the client understands a conflict of our server
// in every form of its details.
func TestConflictsInEveryForm(t *testing.T) {
	t.Parallel()
	for _, form := range []server.ConflictDetails{0, server.StandardDetails, server.DoubleDetails} {
		st := open(t, listen(t, server.New(memory.New(), server.WithConflictDetails(form))))
		s := store.Stream{Type: "Numbers", ID: "n"}
		if _, err := st.Append(t.Context(), s, store.NoStream, []store.Event{numbered(1), numbered(2)}); err != nil {
			t.Fatal(err)
		}
		_, err := st.Append(t.Context(), s, store.Exactly(7), []store.Event{numbered(3)})
		var conflict *store.ConflictError
		if want := (store.ConflictError{Stream: s, Expected: store.Exactly(7), Actual: 2}); !errors.As(err, &conflict) || *conflict != want {
			t.Errorf("with details in form %d: %v, want %v", form, err, &want)
		}
	}
}

// TestConflictTellsTheVersion checks that the client takes the version of a stream from
// the details of a conflict, in any form, and reads it otherwise.
func TestConflictTellsTheVersion(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]int{"standard": 1, "bare": 1, "both": 1, "none": 2, "garbage": 2, "internal": 2} {
		srv := newForeign().with(quirks{Details: form, Garbage: "\x0a\x03abc"})
		st := open(t, listen(t, srv))
		s := store.Stream{Type: "Numbers", ID: "n"}
		if _, err := st.Append(t.Context(), s, store.NoStream, []store.Event{numbered(1), numbered(2)}); err != nil {
			t.Fatal(err)
		}
		before := srv.tenant(store.DefaultTenant).count()
		_, err := st.Append(t.Context(), s, store.Exactly(7), []store.Event{numbered(3)})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Actual != 2 {
			t.Errorf("with details %q: %v, want a conflict with version 2", form, err)
		}
		if got := srv.tenant(store.DefaultTenant).count() - before; got != want {
			t.Errorf("with details %q: a conflict took %d requests, want %d", form, got, want)
		}
	}
}

// TestEventsOutOfOrder uses a server without ReadAll whose subscription yields an event
// after a later one. Skipping it would lose it.
func TestEventsOutOfOrder(t *testing.T) {
	t.Parallel()
	srv := newForeign().with(quirks{NoReadAll: true, Feed: "swaps"})
	st := open(t, listen(t, srv))
	for i := range 3 {
		if _, err := st.Append(t.Context(), store.Stream{Type: "Numbers", ID: "n"}, store.Exactly(uint64(i)), []store.Event{numbered(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
		if errors.Is(err, context.DeadlineExceeded) || page.End {
			t.Fatalf("Subscribe yielded %+v, %v; want an error before it has caught up", page, err)
		}
		if err != nil {
			return
		}
	}
	t.Fatal("Subscribe ended without an error")
}

// TestEventsThatComeAgain uses a server without ReadAll whose subscription repeats
// events, with keep-alives in between.
func TestEventsThatComeAgain(t *testing.T) {
	t.Parallel()
	st := open(t, listen(t, newForeign().with(quirks{NoReadAll: true, Feed: "repeats", KeepAlive: true})))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const n = 9
	if err := writeNumbers(ctx, st, n, make(chan struct{}, n)); err != nil {
		t.Fatal(err)
	}
	if err := takeNumbers(ctx, st, n); err != nil {
		t.Fatal(err)
	}
}

// TestSubscriptionMovesOver checks that a subscription reports progress over events
// that its filter skips, both existing and new ones.
func TestSubscriptionMovesOver(t *testing.T) {
	t.Parallel()
	for name, srv := range backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := open(t, listen(t, srv()))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			head := uint64(0)
			grow := func() {
				head++
				if _, err := st.Append(ctx, store.Stream{Type: "Numbers", ID: "n"}, store.Any, []store.Event{numbered(int(head))}); err != nil {
					t.Fatal(err)
				}
			}
			grow()
			for page, err := range st.Subscribe(ctx, store.LogOptions{Filter: store.Filter{IDPrefix: "m"}}) {
				if err != nil || len(page.Events) > 0 || page.Head > head || page.End && (page.Head != head || page.Next != head+1) {
					t.Fatalf("at position %d: %+v, %v; want no events and the head", head, page, err)
				}
				if page.Next <= head {
					continue
				}
				if head == 4 {
					return
				}
				grow()
			}
		})
	}
}

// A page is in the Buffer of the caller if there is room, so that a long stream is read
// without memory for each page.
func TestReadUsesTheBuffer(t *testing.T) {
	t.Parallel()
	st, s := openMemory(t), store.Stream{Type: "A", ID: "1"}
	events := make([]store.Event, 5)
	for i := range events {
		events[i] = numbered(i)
	}
	if _, err := st.Append(t.Context(), s, store.NoStream, events); err != nil {
		t.Fatal(err)
	}
	for room, inside := range map[int]bool{4: false, 5: true, 9: true} {
		buffer := make([]store.Recorded, room)
		for _, backward := range []bool{false, true} {
			page, err := st.Read(t.Context(), s, store.ReadOptions{Backward: backward, Buffer: buffer})
			if err != nil || len(page.Events) != 5 {
				t.Fatalf("Read = %d events, %v", len(page.Events), err)
			}
			if got := &page.Events[0] == &buffer[0]; got != inside {
				t.Errorf("with room for %d events, a page of 5 is in the buffer: %t, want %t", room, got, inside)
			}
		}
	}
}
