package memory_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Now().In(time.FixedZone("", 3600)) // with a monotonic reading
	m, s := memory.New(memory.WithClock(func() time.Time { return now })), account("a")
	happened := now.Add(-time.Hour)
	events := some("e", 2)
	events[0].Time = happened
	mustAppend(t, m, s, events...)
	got := mustRead(t, m, s, store.ReadOptions{}).Events
	recorded := now.Round(0).UTC()
	if got[0].RecordedAt != recorded || got[0].Time != happened.Round(0).UTC() {
		t.Errorf("recorded at %v, time %v, want %v, %v", got[0].RecordedAt, got[0].Time, recorded, happened)
	}
	if got[1].Time != recorded {
		t.Errorf("the zero time is kept as %v, want %v", got[1].Time, recorded)
	}
}

func TestDefaultClock(t *testing.T) {
	t.Parallel()
	m, s, before := memory.New(), account("a"), time.Now()
	mustAppend(t, m, s, some("e", 1)...)
	got := mustRead(t, m, s, store.ReadOptions{}).Events[0].RecordedAt
	if got.Before(before.Round(0)) || got.After(time.Now()) || got.Location() != time.UTC {
		t.Errorf("recorded at %v, want a time after %v in UTC", got, before)
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	m := memory.New()
	a := mustTenant(t, m, "a")
	for id, want := range map[string]*memory.Store{store.DefaultTenant: m, "a": a} {
		for _, view := range []*memory.Store{m, a} {
			if got := mustTenant(t, view, id); got != want {
				t.Errorf("Tenant(%q) is another store than the first time", id)
			}
		}
	}
	for _, id := range []string{"", "a\x00", "\xff", strings.Repeat("x", store.MaxName+1)} {
		if _, err := m.Tenant(id); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Tenant(%q) = %v, want ErrInvalid", id, err)
		}
	}
}

// TestTenantsAreApart does the same in two tenants and checks that neither sees the
// other.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	m, s, ctx := memory.New(), account("a"), t.Context()
	snap := store.Snapshot{Stream: s, Schema: "v1", Version: 1, Data: []byte("x")}
	for _, id := range []string{store.DefaultTenant, "a", "b"} {
		view := mustTenant(t, m, id)
		if page := mustReadAll(t, view, store.LogOptions{}); len(page.Events) > 0 || page.Head > 0 {
			t.Errorf("%s: the log has %d events before the first append", id, len(page.Events))
		}
		if _, ok, err := view.LoadSnapshot(ctx, s, "v1"); ok || err != nil {
			t.Errorf("%s: LoadSnapshot() = %t, %v before the first", id, ok, err)
		}
		got, err := view.Append(ctx, s, store.NoStream, some("e", 2))
		if want := (store.Appended{Version: 2, Position: 2}); err != nil || got != want {
			t.Errorf("%s: Append() = %+v, %v, want %+v", id, got, err, want)
		}
		if err := view.SaveSnapshot(ctx, snap); err != nil {
			t.Errorf("%s: SaveSnapshot() = %v", id, err)
		}
		if err := view.SaveCheckpoint(ctx, "p", store.Checkpoint{}, store.Checkpoint{Position: 1}); err != nil {
			t.Errorf("%s: SaveCheckpoint() = %v", id, err)
		}
	}
}

// TestRefusedAppend checks that a refused append leaves no trace, whatever the reason.
func TestRefusedAppend(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	mustAppend(t, m, s, some("e", 4)...)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	fresh, taken := some("f", 2), some("e", 4)
	otherData := some("e", 4)
	otherData[2].Data = []byte("another")
	tests := map[string]struct {
		ctx      context.Context //nolint:containedctx // the case
		stream   store.Stream
		expected store.Expected
		events   []store.Event
		want     error
	}{
		"ended context":   {ctx: ended, want: context.Canceled},
		"invalid":         {expected: 99, events: append(some("f", 1), some("f", 1)...), want: store.ErrInvalid},
		"conflict":        {expected: store.Exactly(2), want: &store.ConflictError{Stream: s, Expected: 2, Actual: 4}},
		"conflict, new":   {stream: account("new"), expected: store.Exists, want: store.ErrConflict},
		"taken last":      {events: append(some("f", 1), taken[1]), want: &store.DuplicateError{Stream: s, EventID: "e-1", In: s, Version: 2}},
		"taken elsewhere": {stream: account("new"), events: taken, want: &store.DuplicateError{Stream: account("new"), EventID: "e-0", In: s, Version: 1}},
		"not consecutive": {events: []store.Event{taken[0], taken[2]}, want: store.ErrDuplicate},
		"beyond the end":  {events: append(some("e", 4), fresh[0]), want: store.ErrDuplicate},
		"other data":      {events: otherData, want: store.ErrDuplicate},
		"taken, conflict": {expected: store.NoStream, events: otherData, want: store.ErrDuplicate},
	}
	for name, tt := range tests {
		if tt.ctx == nil {
			tt.ctx = t.Context()
		}
		if tt.stream.ID == "" {
			tt.stream = s
		}
		if tt.expected == 0 {
			tt.expected = store.Any
		}
		if tt.events == nil {
			tt.events = fresh
		}
		_, err := m.Append(tt.ctx, tt.stream, tt.expected, tt.events)
		if !errors.Is(err, tt.want) && !reflect.DeepEqual(err, tt.want) {
			t.Errorf("%s: Append() = %v, want %v", name, err, tt.want)
		}
	}
	if page := mustRead(t, m, account("new"), store.ReadOptions{}); page.Head != 0 || !page.End || page.Next != 1 {
		t.Errorf("a stream without recorded events is %+v", page)
	}
	if head := mustReadAll(t, m, store.LogOptions{}).Head; head != 4 {
		t.Errorf("the head of the log is %d, want 4", head)
	}
	if _, err := m.Append(t.Context(), account("new"), store.NoStream, fresh); err != nil {
		t.Errorf("Append() of refused events = %v", err)
	}
}

// first returns the error of the first page.
func first(pages iter.Seq2[store.Page, error]) error {
	for _, err := range pages {
		return err
	}
	return errors.New("no page")
}

// calls returns all methods that can return ErrClosed or the error of an ended context.
func calls(m *memory.Store) map[string]func(ctx context.Context) error {
	s := account("a")
	return map[string]func(ctx context.Context) error{
		"Append": func(ctx context.Context) error {
			_, err := m.Append(ctx, s, store.Any, some(store.NewID(), 1))
			return err
		},
		"Read": func(ctx context.Context) error {
			_, err := m.Read(ctx, s, store.ReadOptions{})
			return err
		},
		"ReadAll": func(ctx context.Context) error {
			_, err := m.ReadAll(ctx, store.LogOptions{})
			return err
		},
		"Head": func(ctx context.Context) error {
			_, err := m.Head(ctx)
			return err
		},
		"Subscribe": func(ctx context.Context) error { return first(m.Subscribe(ctx, store.LogOptions{})) },
		"SaveSnapshot": func(ctx context.Context) error {
			return m.SaveSnapshot(ctx, store.Snapshot{Stream: s, Schema: "v1", Version: 1})
		},
		"LoadSnapshot": func(ctx context.Context) error {
			_, _, err := m.LoadSnapshot(ctx, s, "v1")
			return err
		},
		"SaveCheckpoint": func(ctx context.Context) error {
			c, err := m.LoadCheckpoint(context.WithoutCancel(ctx), "p")
			if err != nil {
				return err
			}
			return m.SaveCheckpoint(ctx, "p", c, store.Checkpoint{Position: c.Position + 1})
		},
		"LoadCheckpoint": func(ctx context.Context) error {
			_, err := m.LoadCheckpoint(ctx, "p")
			return err
		},
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	m := memory.New()
	other := mustTenant(t, m, "other")
	check := func(want error) {
		t.Helper()
		for tenant, view := range map[string]*memory.Store{"default": m, "other": other} {
			for name, call := range calls(view) {
				if err := call(t.Context()); !errors.Is(err, want) {
					t.Errorf("%s: %s() = %v, want %v", tenant, name, err, want)
				}
			}
		}
	}
	check(nil)
	for range 2 {
		if err := other.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		check(store.ErrClosed)
	}
	if _, err := m.Tenant("other"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Tenant() after Close = %v, want ErrClosed", err)
	}
}

func TestEndedContext(t *testing.T) {
	t.Parallel()
	m := memory.New()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for name, call := range calls(m) {
		if err := call(late); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s() = %v, want the error of the context", name, err)
		}
	}
	for name, call := range calls(m) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s() afterwards = %v", name, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	m, s, ctx := memory.New(), account("a"), t.Context()
	_, readErr := m.Read(ctx, s, store.ReadOptions{Limit: -1})
	_, streamErr := m.Read(ctx, store.Stream{Type: "Account"}, store.ReadOptions{})
	_, allErr := m.ReadAll(ctx, store.LogOptions{Limit: -1})
	_, _, loadErr := m.LoadSnapshot(ctx, s, "")
	_, checkErr := m.LoadCheckpoint(ctx, "\x00")
	subErr := first(m.Subscribe(ctx, store.LogOptions{Limit: -1}))
	backErr := first(m.Subscribe(ctx, store.LogOptions{Backward: true}))
	one, two := store.Checkpoint{Position: 1}, store.Checkpoint{Position: 2}
	tests := map[string]struct {
		err   error
		field string
	}{
		"Read, limit":             {readErr, "limit"},
		"Read, stream":            {streamErr, "stream.id"},
		"ReadAll, limit":          {allErr, "limit"},
		"Subscribe, limit":        {subErr, "limit"},
		"Subscribe, backward":     {backErr, "backward"},
		"LoadSnapshot, schema":    {loadErr, "schema"},
		"LoadCheckpoint, name":    {checkErr, "name"},
		"SaveSnapshot, stream":    {m.SaveSnapshot(ctx, store.Snapshot{Schema: "v1", Version: 1}), "stream.type"},
		"SaveSnapshot, schema":    {m.SaveSnapshot(ctx, store.Snapshot{Stream: s, Version: 1}), "schema"},
		"SaveSnapshot, version":   {m.SaveSnapshot(ctx, store.Snapshot{Stream: s, Schema: "v1"}), "version"},
		"SaveCheckpoint, name":    {m.SaveCheckpoint(ctx, "", one, two), "name"},
		"SaveCheckpoint, earlier": {m.SaveCheckpoint(ctx, "p", two, one), "to"},
	}
	for name, tt := range tests {
		var invalid *store.InvalidError
		if !errors.As(tt.err, &invalid) || invalid.Field != tt.field {
			t.Errorf("%s: %v, want an *InvalidError about %s", name, tt.err, tt.field)
		}
	}
}

// TestFarFrom reads from positions far beyond the end: the page is empty, and the read
// returns.
func TestFarFrom(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	mustAppend(t, m, s, some("e", 3)...)
	for _, from := range []uint64{4, 5, store.MaxVersion, math.MaxUint64} {
		for _, page := range []store.Page{
			mustRead(t, m, s, store.ReadOptions{From: from}),
			mustRead(t, m, s, store.ReadOptions{From: from, ReadOnly: true}),
			mustReadAll(t, m, store.LogOptions{From: from}),
		} {
			if len(page.Events) > 0 || !page.End || page.Head != 3 || page.Next != from {
				t.Errorf("from %d: %+v", from, page)
			}
		}
		for _, page := range []store.Page{
			mustRead(t, m, s, store.ReadOptions{From: from, Backward: true}),
			mustReadAll(t, m, store.LogOptions{From: from, Backward: true}),
		} {
			if len(page.Events) != 3 || !page.End || page.Next != 0 {
				t.Errorf("from %d backward: %+v", from, page)
			}
		}
	}
}

// TestConcurrent runs writers that share streams, ids and whole batches, and readers of
// the log. Each batch must be recorded once, and events must never move.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	const writers, batches, size = 4, 150, 5
	m, ctx := memory.New(), t.Context()
	batch := func(i int) (store.Stream, []store.Event) { // the same for every writer
		return account(strconv.Itoa(i % 3)), some(strconv.Itoa(i), size)
	}
	var all sync.WaitGroup
	fresh := make([]int, writers)
	for w := range writers {
		all.Go(func() {
			for i := range batches {
				s, events := batch(i)
				a, err := m.Append(ctx, s, store.Any, events)
				if err != nil {
					t.Errorf("Append(batch %d) = %v", i, err)
				}
				if !a.Replayed {
					fresh[w]++
				}
				// Use ids of many shards, in reverse order and in another stream. The append is
				// refused.
				slices.Reverse(events)
				_, err = m.Append(ctx, account("other"), store.Any, events)
				if !errors.Is(err, store.ErrDuplicate) {
					t.Errorf("Append(batch %d, reversed, elsewhere) = %v", i, err)
				}
			}
		})
	}
	for seen := uint64(0); seen < batches*size; {
		page := mustReadAll(t, m, store.LogOptions{From: seen + 1})
		if len(page.Events)%size != 0 {
			t.Fatalf("a page ends within a batch: %d events", len(page.Events))
		}
		for i := range page.Events {
			r := &page.Events[i]
			if seen++; r.Position != seen {
				t.Fatalf("position %d after %d", r.Position, seen-1)
			}
			own := mustRead(t, m, r.Stream, store.ReadOptions{From: r.Version, Limit: 1, ReadOnly: true})
			if len(own.Events) != 1 || own.Events[0].ID != r.ID {
				t.Fatalf("position %d is not version %d of %s", seen, r.Version, r.Stream)
			}
		}
	}
	all.Wait()
	total := 0
	for _, n := range fresh {
		total += n
	}
	if head := mustReadAll(t, m, store.LogOptions{}).Head; total != batches || head != batches*size {
		t.Errorf("%d batches were recorded, %d events, want %d, %d", total, head, batches, batches*size)
	}
	for i := range 3 {
		versions := []uint64{}
		for r, err := range store.Events(ctx, m, account(strconv.Itoa(i)), 0) {
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, r.Version)
		}
		for j, v := range versions {
			if v != uint64(j+1) {
				t.Errorf("stream %d: event %d has version %d", i, j, v)
			}
		}
	}
}

// TestBatchesAreWhole runs writers of many batches, each with its own stream and ids,
// so that they share only the log. Batches must not mix there.
func TestBatchesAreWhole(t *testing.T) {
	t.Parallel()
	const writers, batches, size = 4, 5000, 2
	m, all := memory.New(), sync.WaitGroup{}
	for w := range writers {
		all.Go(func() {
			for i := range batches {
				events := some(fmt.Sprintf("%d-%d", w, i), size)
				a, err := m.Append(context.Background(), account(strconv.Itoa(w)), store.Exactly(uint64(i*size)), events)
				if err != nil || a.Version != uint64((i+1)*size) {
					t.Errorf("Append(batch %d) = %+v, %v", i, a, err)
				}
			}
		})
	}
	all.Wait()
	for from := uint64(1); from <= writers*batches*size; from += size {
		page := mustReadAll(t, m, store.LogOptions{From: from, Limit: size})
		if len(page.Events) != size {
			t.Fatalf("%d events from position %d, want %d", len(page.Events), from, size)
		}
		first := page.Events[0]
		for i, r := range page.Events {
			i := uint64(i)
			if r.Stream != first.Stream || r.Version != first.Version+i || r.Position != from+i {
				t.Fatalf("position %d is version %d of %s at %d", from+i, r.Version, r.Stream, r.Position)
			}
		}
	}
}

// TestManyIDs appends more ids than there are different slot values for them. An id
// must not count as taken because another id has the same slot value.
func TestManyIDs(t *testing.T) {
	t.Parallel()
	m, batch := memory.New(), make([]store.Event, store.MaxBatch)
	for round := range 12 {
		for i := range batch {
			batch[i] = store.Event{ID: fmt.Sprintf("%d-%d", round, i), Type: "Deposited"}
		}
		mustAppend(t, m, account("a"), batch...)
	}
	for round := range 12 {
		batch[0].ID = fmt.Sprintf("%d-%d", round, round*500)
		_, err := m.Append(t.Context(), account("b"), store.Any, batch[:1])
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("Append() of id %q again = %v, want ErrDuplicate", batch[0].ID, err)
		}
	}
}

// TestOneWinner runs many appends that expect the same version, and checks that one of
// them is recorded.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	m, s := memory.New(), account("a")
	for round := range 50 {
		var all sync.WaitGroup
		wins := make(chan int, 8)
		for w := range cap(wins) {
			all.Go(func() {
				events := some(fmt.Sprintf("%d-%d", round, w), 1)
				_, err := m.Append(context.Background(), s, store.Exactly(uint64(round)), events)
				var conflict *store.ConflictError
				switch {
				case err == nil:
					wins <- w
				case !errors.As(err, &conflict) || conflict.Actual != uint64(round+1):
					t.Errorf("round %d: Append() = %v, want a conflict with %d", round, err, round+1)
				}
			})
		}
		all.Wait()
		if len(wins) != 1 {
			t.Fatalf("round %d: %d appends were recorded, want 1", round, len(wins))
		}
	}
}
