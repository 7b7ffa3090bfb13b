package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/examples/telemetry"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// recording returns a provider, and the spans that have ended.
func recording() (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	spans := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), spans
}

// serving serves st on a port of this machine until stop is called.
func serving(st store.Store, spans trace.TracerProvider) (address string, stop func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var listen net.ListenConfig
	lis, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return "", nil, err
	}
	done := make(chan error, 1)
	go func() { done <- telemetry.Serve(ctx, lis, st, spans) }()
	return lis.Addr().String(), func() error {
		cancel()
		return <-done
	}, nil
}

// newAccounts returns accounts in st, with spans.
func newAccounts(st store.Store, spans trace.TracerProvider) *runner.Runner[account.Command, account.State, account.Event] {
	tel := otelevolve.New(otelevolve.Config{TracerProvider: spans})
	return runner.New("Account", account.Decider(), tel.Store(st), account.Codec()).
		WithObserver(tel.Runner()).WithMetadata(tel.Metadata(nil))
}

// path returns the names of a span called name and of all its ancestors, one of which is
// called through. If there are several such spans, it returns the deepest.
func path(spans tracetest.SpanStubs, name, through string) []string {
	byID := map[trace.SpanID]tracetest.SpanStub{}
	var longest []string
	for _, s := range spans {
		byID[s.SpanContext.SpanID()] = s
	}
	for _, s := range spans {
		if s.Name != name {
			continue
		}
		names := []string{s.Name}
		for at, ok := byID[s.Parent.SpanID()]; ok; at, ok = byID[at.Parent.SpanID()] {
			names = append([]string{at.Name}, names...)
		}
		if len(names) > len(longest) && slices.Contains(names, through) {
			longest = names
		}
	}
	return longest
}

// A trace goes from the request to the store behind the server.
func Example() {
	ctx := context.Background()
	provider, spans := recording()
	address, stop, err := serving(memory.New(), provider)
	if err != nil {
		fmt.Println(err)
		return
	}
	st, err := telemetry.Dial(ctx, address, provider)
	if err != nil {
		fmt.Println(err)
		return
	}
	request, span := provider.Tracer("http").Start(ctx, "POST /accounts")
	_, err = newAccounts(st, provider).Handle(request, "acc-1", account.Open{Owner: "Ann"})
	span.End()
	fmt.Println(errors.Join(err, st.Close(), stop()))
	for i, name := range path(spans.GetSpans(), "append Account", "append Account") {
		fmt.Println(strings.Repeat("  ", i) + name)
	}
	// Output:
	// <nil>
	// POST /accounts
	//   handle Account
	//     append Account
	//       eventstore.v1.EventStore/Append
	//         eventstore.v1.EventStore/Append
	//           append Account
}

// TestPostgres checks that the statements of the database are in the trace of the command.
func TestPostgres(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	provider, spans := recording()
	behind, pool, err := telemetry.OpenPostgres(ctx, postgrestest.URL(t), provider)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	address, stop, err := serving(behind, provider)
	if err != nil {
		t.Fatal(err)
	}
	st, err := telemetry.Dial(ctx, address, provider)
	if err != nil {
		t.Fatal(err)
	}
	spans.Reset()
	request, span := provider.Tracer("http").Start(ctx, "POST /accounts")
	_, err = newAccounts(st, provider).Handle(request, "acc-1", account.Open{Owner: "s3cret"})
	span.End()
	if err := errors.Join(err, st.Close(), stop(), behind.Close()); err != nil {
		t.Fatal(err)
	}
	got := path(spans.GetSpans(), "SELECT", "append Account") // of the function that appends
	want := []string{"POST /accounts", "handle Account", "append Account", "eventstore.v1.EventStore/Append", "eventstore.v1.EventStore/Append", "append Account"}
	if len(got) <= len(want) || strings.Join(got[:len(want)], ",") != strings.Join(want, ",") {
		t.Errorf("the statement is a descendant of %q, want %q", got, want)
	}
	for _, s := range spans.GetSpans() {
		if text := fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status); strings.Contains(text, "s3cret") || strings.Contains(text, "acc-1") {
			t.Errorf("a span reveals stored data: %s", text)
		}
	}
}
