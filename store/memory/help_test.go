package memory_test

import (
	"context"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func account(id string) store.Stream { return store.Stream{Type: "Account", ID: id} }

// some returns n events with the ids prefix-0, prefix-1 and so on.
func some(prefix string, n int) []store.Event {
	events := make([]store.Event, n)
	for i := range events {
		events[i] = store.Event{
			ID: fmt.Sprintf("%s-%d", prefix, i), Type: "Deposited", Schema: 1, ContentType: "text/plain",
			Data: fmt.Appendf(nil, "data of %s-%d", prefix, i),
			Meta: store.Metadata{Headers: map[string]string{"n": fmt.Sprintf("%s-%d", prefix, i)}},
		}
	}
	return events
}

// mustAppend appends events to the end of s.
func mustAppend(t rapid.TB, st store.Store, s store.Stream, events ...store.Event) store.Appended {
	t.Helper()
	a, err := st.Append(context.Background(), s, store.Any, events)
	if err != nil {
		t.Fatalf("Append(%s, Any, %d events) = %v", s, len(events), err)
	}
	return a
}

func mustRead(t rapid.TB, st store.Store, s store.Stream, o store.ReadOptions) store.Page {
	t.Helper()
	page, err := st.Read(context.Background(), s, o)
	if err != nil {
		t.Fatalf("Read(%s, %+v) = %v", s, o, err)
	}
	return page
}

func mustReadAll(t rapid.TB, l store.Log, o store.LogOptions) store.Page {
	t.Helper()
	page, err := l.ReadAll(context.Background(), o)
	if err != nil {
		t.Fatalf("ReadAll(%+v) = %v", o, err)
	}
	return page
}

// mustTenant returns the store of tenant id.
func mustTenant(t rapid.TB, m *memory.Store, id string) *memory.Store {
	t.Helper()
	st, err := m.Tenant(id)
	if err != nil {
		t.Fatalf("Tenant(%q) = %v", id, err)
	}
	view, ok := st.(*memory.Store)
	if !ok {
		t.Fatalf("Tenant(%q) is a %T", id, st)
	}
	return view
}

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }
