package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// pingPong appends an event whenever the previous one has arrived, n times, and returns
// the positions that arrived. It calls do before each append.
func pingPong(t *testing.T, reader, writer *postgres.Store, n int, do func(i int)) []uint64 {
	t.Helper()
	var got []uint64
	for page, err := range reader.Subscribe(within(t), store.LogOptions{}) {
		if err != nil {
			t.Errorf("Subscribe, after %d positions: %v", len(got), err)
			return got
		}
		for i := range page.Events {
			got = append(got, page.Events[i].Position)
		}
		if len(got) >= n {
			return got
		}
		do(len(got))
		appendTo(t, writer, stream(1), 1)
	}
	return got
}

// killListeners ends the listening connections to the database at url.
func killListeners(t *testing.T, url string) (killed int) {
	t.Helper()
	const query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity " +
		"WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
	if err := connect(t, url).QueryRow(context.Background(), query).Scan(&killed); err != nil {
		t.Fatal(err)
	}
	return killed
}

// TestSubscribeHears checks that a notification for each append, and one read after
// beginning to listen, are enough.
func TestSubscribeHears(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	reader := open(t, url)
	postgres.NeverPoll(reader)
	if got := pingPong(t, reader, open(t, url), 30, func(int) {}); !slices.Equal(got, upTo(30)) {
		t.Errorf("Subscribe to the appends of another store yielded %v, want 1 to 30", got)
	}
}

// TestSubscribeHearsItself checks that subscriptions learn of the appends of their own
// store without the server.
func TestSubscribeHearsItself(t *testing.T) {
	t.Parallel()
	st := open(t, postgrestest.URL(t), postgres.WithPollOnly(time.Hour))
	if got := pingPong(t, st, st, 10, func(int) {}); !slices.Equal(got, upTo(10)) {
		t.Errorf("Subscribe to the store's own appends yielded %v, want 1 to 10", got)
	}
}

// TestSubscribeLosesItsEar checks that without the listening connection events arrive
// late but completely, and that a new connection listens soon.
func TestSubscribeLosesItsEar(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	reader, killed := open(t, url), 0
	postgres.NeverPoll(reader) // the read after listening again finds the events that were missed
	got := pingPong(t, reader, open(t, url), 12, func(i int) {
		if i%4 == 2 {
			killed += killListeners(t, url)
		}
	})
	if !slices.Equal(got, upTo(12)) || killed == 0 {
		t.Errorf("Subscribe, after its listening connection was ended %d times, yielded %v, want 1 to 12", killed, got)
	}
}

// TestSubscribeLosesAll checks that a subscription survives the loss of all connections
// of its store, and a while without any.
func TestSubscribeLosesAll(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	reader, cut := wired(t, url, postgres.WithPollOnly(5*time.Millisecond))
	got := pingPong(t, reader, open(t, url), 6, func(i int) {
		if i%2 == 1 {
			cut.Store(true)
			if _, err := reader.Head(context.Background()); !errors.Is(err, postgres.ErrUnavailable) {
				t.Errorf("Head without a connection = %v, want ErrUnavailable", err)
			}
			time.AfterFunc(100*time.Millisecond, func() { cut.Store(false) })
		}
	})
	if !slices.Equal(got, upTo(6)) {
		t.Errorf("Subscribe, after its connections were cut, yielded %v, want 1 to 6", got)
	}
}

func TestPollOnly(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	reader := open(t, url, postgres.WithPollOnly(5*time.Millisecond))
	got := pingPong(t, reader, open(t, url), 10, func(int) {
		if n := killListeners(t, url); n > 0 {
			t.Errorf("%d connections listen, want none", n)
		}
	})
	if !slices.Equal(got, upTo(10)) {
		t.Errorf("Subscribe that polls yielded %v, want 1 to 10", got)
	}
}

// TestSubscribeOfTenants checks that all subscriptions of a tenant receive its events,
// and not the positions of other tenants.
func TestSubscribeOfTenants(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	st, other := open(t, url), open(t, url)
	a, b := tenant(t, st, 0), tenant(t, st, 1)
	got := pingPong(t, a, tenant(t, other, 0), 10, func(int) { appendTo(t, b, stream(1), 1) })
	if want := []uint64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}; !slices.Equal(got, want) {
		t.Errorf("Subscribe to one of two tenants yielded %v, want %v", got, want)
	}
	for _, backward := range []bool{false, true} {
		page, err := a.ReadAll(context.Background(), store.LogOptions{Limit: 10, Backward: backward})
		if err != nil || len(page.Events) != 10 || !page.End || page.Head != 20 {
			t.Errorf("ReadAll, backward: %t, = %d events, end %t, head %d, %v; want all 10, true, 20",
				backward, len(page.Events), page.End, page.Head, err)
		}
	}
}

// TestSubscribeDiverges checks that a subscription ends when the log is replaced by an
// older one that continues differently, and does not skip the events that have taken
// the positions.
func TestSubscribeDiverges(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ again int }{"by a shorter log": {0}, "by a different log": {3}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := within(t), postgrestest.URL(t)
			st := open(t, url, postgres.WithPollOnly(5*time.Millisecond))
			appendTo(t, st, stream(1), 5)
			var last store.Checkpoint
			for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
				if err != nil {
					var diverged *store.DivergedError
					if !errors.As(err, &diverged) || diverged.Checkpoint != last || diverged.Head != uint64(3+tt.again) {
						t.Errorf("Subscribe ended with %v, want a *DivergedError of %+v, head %d", err, last, 3+tt.again)
					}
					break
				}
				if len(page.Events) == 0 {
					t.Fatalf("Subscribe yielded %+v after the log was replaced", page)
				}
				e := page.Events[len(page.Events)-1]
				last = store.Checkpoint{Position: e.Position, EventID: e.ID}
				execute(t, url, fmt.Sprintf(`BEGIN; DELETE FROM evolve.event WHERE position > 3; UPDATE evolve.log SET head = 3;
INSERT INTO evolve.event SELECT 'default', n + 3, 'B', '2', n, 'other ' || n, 'Happened', 1, '', now(), now(), '', '', '', NULL, ''
FROM generate_series(1, %d) n; UPDATE evolve.log SET head = head + %[1]d; COMMIT`, tt.again))
			}
			if _, err := store.Resume(ctx, st, last); !errors.Is(err, store.ErrLogDiverged) {
				t.Errorf("Resume(%+v) = %v, want ErrLogDiverged", last, err)
			}
		})
	}
}

// TestFilterInBoundedTime checks that a filter that matches few events finds them in
// bounded pages, even among the events of another tenant.
func TestFilterInBoundedTime(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	st := open(t, url)
	rare := batch(1)
	rare[0].Type = "Rare"
	for i, events := range [][]store.Event{rare, batch(10_000), batch(1)} {
		if i == 2 {
			events[0].Type = "Rare"
		}
		if _, err := st.Append(ctx, stream(1), store.Any, events); err != nil {
			t.Fatal(err)
		}
		appendTo(t, tenant(t, st, 1), stream(1), 100)
	}
	for _, backward := range []bool{false, true} {
		o := store.LogOptions{Backward: backward, Filter: store.Filter{EventTypes: []string{"Rare"}}}
		var got []uint64
		pages := 0
		for end := false; !end; pages++ {
			page, err := st.ReadAll(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Events {
				got = append(got, page.Events[i].Position)
			}
			o.From, end = page.Next, page.End
		}
		slices.Sort(got)
		if pages != 2 || !slices.Equal(got, []uint64{1, 10_202}) {
			t.Errorf("ReadAll, backward: %t, = positions %v on %d pages, want 1 and 10,202 on 2", backward, got, pages)
		}
	}
}

// TestFilterByHalfARune checks that text that no database accepts matches as it would
// in memory.
func TestFilterByHalfARune(t *testing.T) {
	t.Parallel()
	ctx, st := within(t), open(t, postgrestest.URL(t))
	appendTo(t, st, store.Stream{Type: "A", ID: "日本"}, 1)
	appendTo(t, st, store.Stream{Type: "A", ID: "日"}, 1)
	appendTo(t, st, store.Stream{Type: "A", ID: "\ufffd"}, 1)
	for f, want := range map[*store.Filter]int{
		{IDPrefix: "日\xe6"}: 1, {IDPrefix: "\xe6"}: 2, {IDPrefix: "日\x00"}: 0, {IDPrefix: "\ufffd"}: 1,
		{StreamTypes: []string{"\xff"}}: 0, {EventTypes: []string{"\x00", "Happened"}}: 3,
	} {
		page, err := st.ReadAll(ctx, store.LogOptions{Filter: *f})
		if err != nil || len(page.Events) != want {
			t.Errorf("ReadAll(%+q) = %d events, %v; want %d", f, len(page.Events), err, want)
		}
	}
}

// TestBigPages checks that a page of large events ends early, and that the next pages
// continue.
func TestBigPages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: pages of large events")
	}
	ctx, st := within(t), open(t, postgrestest.URL(t))
	events := batch(5)
	for i := range events {
		events[i].Data = make([]byte, 8<<20)
	}
	if _, err := st.Append(ctx, stream(1), store.Any, events); err != nil {
		t.Fatal(err)
	}
	pages := 0
	for o := (store.ReadOptions{}); ; pages++ {
		page, err := st.Read(ctx, stream(1), o)
		if err != nil || len(page.Events) > 4 || len(page.Events) == 0 || page.Events[0].Version != max(o.From, 1) {
			t.Fatalf("Read from %d = %d events, %v; want at most 4", o.From, len(page.Events), err)
		}
		if page.End {
			break
		}
		o.From = page.Next
	}
	if pages != 1 {
		t.Errorf("there were %d pages before the last, want 1", pages)
	}
}
