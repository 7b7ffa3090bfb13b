package otelevolve_test

import (
	"io"
	"reflect"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// TestConformance runs the suite for stores on a traced store.
func TestConformance(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: sdktrace.NewTracerProvider()})
	storetest.Run(t, func(*testing.T) store.Store { return tel.Store(memory.New()) })
}

// everything is a store that has every capability. Those that no test calls are nil.
type everything struct {
	store.Store
	store.Log
	store.Tenants
	store.Snapshots
	store.Checkpoints
	store.Claims
	store.Leases
	store.Documents
	store.Finder
	io.Closer
}

// TestStoreHasTheCapabilities checks that a traced store has the capabilities of its
// store, and no more.
func TestStoreHasTheCapabilities(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: sdktrace.NewTracerProvider()})
	fields := reflect.TypeFor[capability.Set]().NumField()
	all := reflect.ValueOf(capability.Of(everything{}))
	for i := range fields {
		if all.Field(i).IsNil() {
			t.Fatalf("everything lacks %s: this test needs a store with all capabilities", all.Type().Field(i).Name)
		}
	}
	for has := range 1 << (fields - 1) {
		var set capability.Set
		want := reflect.ValueOf(&set).Elem()
		for i := range fields {
			if i == 0 || has&(1<<(i-1)) != 0 {
				want.Field(i).Set(all.Field(i))
			}
		}
		got := reflect.ValueOf(capability.Of(tel.Store(set.Compose())))
		for i := range fields {
			if got.Field(i).IsNil() != want.Field(i).IsNil() {
				t.Errorf("set %#x: Store has %s: %t, want %t", has, got.Type().Field(i).Name, !got.Field(i).IsNil(), !want.Field(i).IsNil())
			}
		}
	}
}

// TestShapes checks that the stores of evolve get spans, whatever their capabilities.
func TestShapes(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: sdktrace.NewTracerProvider()})
	all := capability.Of(everything{})
	keeping := all // store/jetstream
	keeping.Documents, keeping.Finder = nil, nil
	for name, st := range map[string]store.Store{
		"all":    memory.New(),
		"remote": capability.Set{Store: all.Store, Log: all.Log, Tenants: all.Tenants, Closer: all.Closer}.Compose(), // store/grpc
		"most":   keeping.Compose(),
		"closer": capability.Set{Store: all.Store, Log: all.Log, Closer: all.Closer}.Compose(),
		"log":    capability.Set{Store: all.Store, Log: all.Log}.Compose(),
		"none":   capability.Set{Store: all.Store}.Compose(),
	} {
		if got := tel.Store(st); got == st {
			t.Errorf("%s: the store is not traced", name)
		}
	}
}

// TestStoreSpans checks the spans of calls without a runner.
func TestStoreSpans(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{})
	f := faults.Wrap(memory.New(), 1, faults.Rate{})
	st := r.Store(f.Store())
	of := store.Stream{Type: "Account", ID: "a"}
	batch := []store.Event{{ID: "1", Type: "Changed"}}
	for want, do := range map[string]func() error{
		"appended": func() error { _, err := st.Append(t.Context(), of, store.NoStream, batch); return err },
		"unknown": func() error {
			f.Next(faults.Down)
			_, err := st.Append(t.Context(), of, store.Any, []store.Event{{ID: "2", Type: "Changed"}})
			return err
		},
		"invalid": func() error { _, err := st.Append(t.Context(), of, store.Any, nil); return err },
	} {
		err := do()
		span := the(t, r.ended(), "append Account")
		if got := value(span.Attributes, "evolve.outcome"); got != want {
			t.Errorf("an append with the error %v has the outcome %q, want %q", err, got, want)
		}
		if fault := span.Status.Code == codes.Error; fault != (want == "unknown") {
			t.Errorf("%s is an error: %t", want, fault)
		}
	}
	claims, ok := st.(store.Claims)
	if !ok {
		t.Fatal("the traced store has no claims")
	}
	_, err := claims.AppendClaiming(t.Context(), of, store.Any, []store.Event{{ID: "3", Type: "Changed"}}, []store.Claim{{Key: "a"}})
	if span := the(t, r.ended(), "append Account"); err != nil || value(span.Attributes, "evolve.expected") != "any version" {
		t.Errorf("AppendClaiming = %v, and its span says %v", err, span.Attributes)
	}
	log, ok := st.(store.Log)
	if !ok {
		t.Fatal("the traced store has no log")
	}
	if _, err := log.ReadAll(t.Context(), store.LogOptions{}); err != nil {
		t.Fatal(err)
	}
	if span := the(t, r.ended(), "read_all"); value(span.Attributes, "evolve.events") != "2" || value(span.Attributes, "evolve.position") == "" {
		t.Errorf("read_all says %v", span.Attributes)
	}
	f.NextRead(faults.Down)
	_, _ = st.Read(t.Context(), of, store.ReadOptions{})
	if span := the(t, r.ended(), "read Account"); span.Status.Code != codes.Error {
		t.Errorf("a read that failed has the status %v", span.Status)
	}
}

// TestWithoutSpans checks that a provider that does nothing costs nothing: Store returns
// the store itself, and the observers are no Beginners.
func TestWithoutSpans(t *testing.T) {
	t.Parallel()
	tel := otelevolve.New(otelevolve.Config{TracerProvider: tracenoop.NewTracerProvider()})
	st := memory.New()
	if got := tel.Store(st); got != store.Store(st) {
		t.Errorf("Store = a %T", got)
	}
	for _, o := range []any{tel.Runner(), tel.Projection(), tel.Process()} {
		if _, ok := reflect.TypeOf(o).MethodByName("Begin"); ok {
			t.Errorf("%T is a Beginner", o)
		}
	}
}

// TestTenants checks that only the listed tenants are named.
func TestTenants(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{Tenants: []string{"acme"}})
	tenants, ok := r.Store(memory.New()).(store.Tenants)
	if !ok {
		t.Fatal("the traced store has no tenants")
	}
	for id, want := range map[string]string{"acme": "acme", "ann": "other"} {
		view, err := tenants.Tenant(id)
		if err != nil {
			t.Fatal(err)
		}
		tel := r.Tenant(id)
		if _, err := newAccounts(view).WithObserver(tel.Runner()).Handle(t.Context(), "a", deposit{1}); err != nil {
			t.Fatal(err)
		}
		for _, s := range r.ended() {
			if got := value(s.Attributes, "evolve.tenant"); got != want {
				t.Errorf("the span %q of tenant %q names %q, want %q", s.Name, id, got, want)
			}
		}
	}
	got := points(t, r.collected(t)["evolve.command.attempts"])
	if len(got) != 2 || got["stream.type=Account,tenant=acme"] != 1 || got["stream.type=Account,tenant=other"] != 1 {
		t.Errorf("the attempts are of %v", got)
	}
	if tel := otelevolve.New(otelevolve.Config{}); tel.Tenant("acme") != tel {
		t.Error("without Tenants, Tenant is another Telemetry")
	}
}
