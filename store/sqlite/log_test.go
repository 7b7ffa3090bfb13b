package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// TestSubscribe checks that polling the file finds the events of another store on the
// same file.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	t.Run("yields what another store of the file appends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		path := filepath.Join(t.TempDir(), "events.db")
		st, other := open(t, path), open(t, path)
		const n = 5
		var got []uint64
		for page, err := range st.Subscribe(ctx, store.LogOptions{}) {
			if err != nil {
				t.Fatalf("Subscribe, after the positions %v: %v", got, err)
			}
			for _, e := range page.Events {
				got = append(got, e.Position)
			}
			if len(got) == n {
				break
			}
			if _, err := other.Append(ctx, store.Stream{Type: "A", ID: "1"}, store.Any, batch(1)); err != nil {
				t.Fatal(err)
			}
		}
		for i, position := range got {
			if position != uint64(i)+1 {
				t.Fatalf("Subscribe yielded the positions %v", got)
			}
		}
		if len(got) != n {
			t.Fatalf("Subscribe yielded the positions %v, want %d", got, n)
		}
	})
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	t.Run("a filter that matches few events finds them in bounded pages", func(t *testing.T) {
		t.Parallel()
		ctx := context.Background()
		st := open(t, filepath.Join(t.TempDir(), "events.db"))
		rare := batch(1)
		rare[0].Type = "Rare"
		for i, events := range [][]store.Event{rare, batch(10_000), batch(10_000), batch(1)} {
			if i == 3 {
				events[0].Type = "Rare"
			}
			if _, err := st.Append(ctx, store.Stream{Type: "A", ID: "1"}, store.Any, events); err != nil {
				t.Fatal(err)
			}
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
				for _, e := range page.Events {
					got = append(got, e.Position)
				}
				o.From, end = page.Next, page.End
			}
			if pages != 2 || len(got) != 2 || got[0]+got[1] != 20_003 {
				t.Errorf("ReadAll, backward %t, = positions %v on %d pages, want 1 and 20,002 on 2", backward, got, pages)
			}
		}
	})
}

// TestAppendBesideALongWrite checks that an append waits for another writer of the
// file, although each attempt to lock is short.
func TestAppendBesideALongWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	st, other := open(t, path), open(t, path)
	release := sqlite.Hold(other)
	time.AfterFunc(200*time.Millisecond, release)
	appended, err := st.Append(context.Background(), store.Stream{Type: "A", ID: "1"}, store.NoStream, batch(1))
	if err != nil || appended.Version != 1 {
		t.Fatalf("Append next to another writer = %+v, %v", appended, err)
	}
}

// A page is in the Buffer of the caller if there is room, so that a long stream is read
// without memory for each page.
func TestReadUsesTheBuffer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	st := open(t, filepath.Join(t.TempDir(), "events.db"))
	s := store.Stream{Type: "A", ID: "1"}
	if _, err := st.Append(ctx, s, store.NoStream, batch(5)); err != nil {
		t.Fatal(err)
	}
	for room, within := range map[int]bool{4: false, 5: true, 9: true} {
		buffer := make([]store.Recorded, room)
		page, err := st.Read(ctx, s, store.ReadOptions{Buffer: buffer})
		if err != nil || len(page.Events) != 5 {
			t.Fatalf("Read = %d events, %v", len(page.Events), err)
		}
		if got := &page.Events[0] == &buffer[0]; got != within {
			t.Errorf("with room for %d events, a page of 5 is in the buffer: %t, want %t", room, got, within)
		}
	}
}
