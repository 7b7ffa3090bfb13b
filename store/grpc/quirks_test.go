package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/memory"
)

// drawQuirks draws a server.
func drawQuirks(t *rapid.T) quirks {
	return quirks{
		Details:   rapid.SampledFrom([]string{"standard", "bare", "both", "none", "internal", "garbage"}).Draw(t, "details"),
		Garbage:   string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "garbage")),
		Ends:      rapid.SampledFrom([]string{"exact", "short", "never"}).Draw(t, "ends"),
		Overlap:   rapid.Bool().Draw(t, "overlap"),
		Page:      rapid.SampledFrom([]int{1000, 1, 3}).Draw(t, "page"),
		NoReadAll: rapid.IntRange(0, 19).Draw(t, "no ReadAll") == 13,
		KeepAlive: rapid.Bool().Draw(t, "keep-alive"),
		Feed:      rapid.SampledFrom([]string{"", "repeats", "loses", "swaps"}).Draw(t, "feed"),
		Taken:     rapid.SampledFrom([]string{"accepted", "aborted"}).Draw(t, "taken"),
		Unanswers: rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "unanswered"),
		Refuses:   rapid.SampledFrom([]int{0, 0, 0, 20}).Draw(t, "refuses"),
	}
}

// twin is a store on a quirky server and a plain store that get the same calls.
type twin struct {
	*rapid.T
	ctx    context.Context //nolint:containedctx // lives as long as the check
	quirks quirks
	real   *grpc.Store
	model  *memory.Store
	ids    int
}

// TestClientIsAStoreOnAnyServer checks that the client returns the same results as a
// plain store, whatever the server is like.
func TestClientIsAStoreOnAnyServer(t *testing.T) {
	t.Parallel()
	srv := newForeign()
	st := open(t, listen(t, srv))
	left, failing := 30, false
	if testing.Short() {
		left = 10
	}
	if n, err := strconv.Atoi(os.Getenv("RAPID_CHECKS")); err == nil && n >= 1000 {
		left = n / 2
	}
	rapid.Check(t, func(rt *rapid.T) {
		if left--; left < 0 && !failing {
			return
		}
		defer func() { failing = failing || rt.Failed() }() // then it is made shorter
		w := &twin{T: rt, ctx: t.Context(), quirks: drawQuirks(rt), model: memory.New()}
		defer w.model.Close()
		tenant, err := st.Tenant(srv.newTenant(w.quirks))
		if err != nil {
			t.Fatal(err)
		}
		w.real, _ = tenant.(*grpc.Store)
		actions := map[string]func(*rapid.T){"append": w.append, "read": w.read}
		if w.quirks.NoReadAll {
			actions["read the log"] = w.noReadAll
		} else {
			actions["read the log"] = w.readAll
		}
		rt.Repeat(actions)
		if !w.quirks.NoReadAll || w.quirks.Feed != "loses" && w.quirks.Feed != "swaps" {
			w.subscribe(rt)
		}
	})
}

// stream draws a stream. An id has only one type, because some servers do not know
// types.
func (w *twin) stream(t *rapid.T) store.Stream {
	return rapid.SampledFrom([]store.Stream{{Type: "Account", ID: "acc-1"}, {Type: "Account", ID: "acc_2"}, {Type: "Order", ID: "o"}}).Draw(t, "stream")
}

func (w *twin) append(t *rapid.T) {
	s := w.stream(t)
	expected := rapid.SampledFrom([]store.Expected{
		store.NoStream, store.Any, store.Exists, store.Exactly(1), store.Exactly(2), store.Exactly(3),
	}).Draw(t, "expected")
	w.appendTo(t, s, expected)
}

func (w *twin) appendTo(t *rapid.T, s store.Stream, expected store.Expected) {
	events := make([]store.Event, rapid.IntRange(1, 4).Draw(t, "events"))
	for i := range events {
		w.ids++
		events[i] = store.Event{
			ID: fmt.Sprint("id ", w.ids), Type: []string{"Opened", "Closed"}[w.ids%2], Schema: 1, Data: fmt.Append(nil, w.ids), Time: time.Unix(1, 0),
		}
	}
	got, err := w.real.Append(w.ctx, s, expected, events)
	want, wantErr := w.model.Append(w.ctx, s, expected, events)
	if w.quirks.Unanswers > 0 {
		got.Replayed = false // the first answer was lost
	}
	if got != want || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("Append(%s, %s, %d events) = %+v, %v; want %+v, %v", s, expected, len(events), got, err, want, wantErr)
	}
	if wantErr == nil {
		w.appendAgain(t, s, expected, events, want)
	}
}

// appendAgain repeats an append to the same stream. For a server that does not
// recognize it, it must expect the same version as before.
func (w *twin) appendAgain(t *rapid.T, s store.Stream, expected store.Expected, events []store.Event, want store.Appended) {
	if w.quirks.Taken == "aborted" {
		taken := slices.Clone(events)
		slices.Reverse(taken)
		if len(taken) == 1 || rapid.Bool().Draw(t, "new") {
			taken = slices.Concat(taken[:1], events[:1])
			taken[1].ID += " is new"
		}
		expected = rapid.SampledFrom([]store.Expected{expected, store.Any, store.Exists, store.Exactly(want.Version)}).Draw(t, "again")
		_, err := w.real.Append(w.ctx, s, store.Any, taken)
		if _, wantErr := w.model.Append(w.ctx, s, store.Any, taken); !errors.Is(wantErr, store.ErrDuplicate) || !reflect.DeepEqual(err, wantErr) {
			t.Fatalf("Append(%s, of a taken id) = %v, want %v", s, err, wantErr)
		}
	} else if _, ok := expected.Version(); !ok {
		return
	}
	want.Replayed = true
	if got, err := w.real.Append(w.ctx, s, expected, events); err != nil || got != want {
		t.Fatalf("Append(%s, %s, %d events) again = %+v, %v; want %+v", s, expected, len(events), got, err, want)
	}
}

func (w *twin) read(t *rapid.T) {
	s := w.stream(t)
	o := store.ReadOptions{
		From:  rapid.SampledFrom([]uint64{0, 0, 1, 2, 3, 5, 8, store.MaxVersion, 1 << 63, 1<<64 - 1}).Draw(t, "from"),
		Limit: rapid.IntRange(0, 5).Draw(t, "limit"), Backward: rapid.Bool().Draw(t, "backward"),
	}
	want, err := w.model.Read(w.ctx, s, store.ReadOptions{From: o.From, Backward: o.Backward})
	if err != nil {
		t.Fatal(err)
	}
	w.walk(t, fmt.Sprintf("Read(%s, %+v)", s, o), want, true, func(from uint64) (store.Page, error) {
		o := o
		if from > 0 {
			o.From = from
		}
		return w.real.Read(w.ctx, s, o)
	})
}

func (w *twin) readAll(t *rapid.T) {
	o := store.LogOptions{
		From:  rapid.SampledFrom([]uint64{0, 0, 1, 2, 3, 5, 8, 20, store.MaxVersion, 1 << 63, 1<<64 - 1}).Draw(t, "from"),
		Limit: rapid.IntRange(0, 5).Draw(t, "limit"), Backward: rapid.Bool().Draw(t, "backward"), Filter: drawFilter(t),
	}
	want, err := w.model.ReadAll(w.ctx, store.LogOptions{From: o.From, Backward: o.Backward, Filter: o.Filter})
	if err != nil {
		t.Fatal(err)
	}
	w.walk(t, fmt.Sprintf("ReadAll(%+v)", o), want, reflect.DeepEqual(o.Filter, store.Filter{}), func(from uint64) (store.Page, error) {
		o := o
		if from > 0 {
			o.From = from
		}
		return w.real.ReadAll(w.ctx, o)
	})
	if head, err := w.real.Head(w.ctx); err != nil || head != want.Head {
		t.Fatalf("Head() = %d, %v; want %d", head, err, want.Head)
	}
}

func drawFilter(t *rapid.T) store.Filter {
	return rapid.SampledFrom([]store.Filter{
		{},
		{},
		{StreamTypes: []string{"Account"}},
		{IDPrefix: "acc_"},
		{EventTypes: []string{"Opened", "Other"}},
		{IDPrefix: "nobody"},
	}).Draw(t, "filter")
}

func (w *twin) noReadAll(t *rapid.T) {
	_, err := w.real.ReadAll(w.ctx, store.LogOptions{})
	if _, headErr := w.real.Head(w.ctx); !errors.Is(err, errors.ErrUnsupported) || !errors.Is(headErr, errors.ErrUnsupported) {
		t.Fatalf("ReadAll, Head of a server that has no ReadAll = %v, %v; want ErrUnsupported", err, headErr)
	}
}

// walk reads page by page; together the pages must equal want. If all events are
// requested, the last event is in the last page.
func (w *twin) walk(t *rapid.T, call string, want store.Page, all bool, read func(from uint64) (store.Page, error)) {
	var got []store.Recorded
	from := uint64(0)
	for pages := 0; ; pages++ {
		page, err := read(from)
		if err != nil || page.Head != want.Head || pages > len(want.Events)+20 {
			t.Fatalf("%s, page %d = Head %d, %v; want Head %d", call, pages+1, page.Head, err, want.Head)
		}
		if all && pages > 0 && len(page.Events) == 0 {
			t.Fatalf("%s, page %d is empty, but End was not set in the previous one", call, pages+1)
		}
		got = append(got, page.Events...)
		if page.End {
			if page.Next != want.Next {
				t.Fatalf("%s, page %d = Next %d at the end, want %d", call, pages+1, page.Next, want.Next)
			}
			break
		}
		from = page.Next
	}
	w.same(t, call, got, want.Events)
}

func (w *twin) same(t *rapid.T, call string, got, want []store.Recorded) {
	if len(got) != len(want) {
		t.Fatalf("%s = %d events, want %d", call, len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if !g.Same(&w.Event) || g.Version != w.Version || g.Position != w.Position || g.Stream != w.Stream {
			t.Fatalf("%s: event %d is %+v, want %+v", call, i+1, g, w)
		}
	}
}

// subscribe takes the existing events, and then new ones, three times.
func (w *twin) subscribe(t *rapid.T) {
	head, _ := w.model.Head(w.ctx)
	o := store.LogOptions{
		From:  rapid.Uint64Range(0, head+1).Draw(t, "from"),
		Limit: rapid.IntRange(0, 3).Draw(t, "limit"), Filter: drawFilter(t),
	}
	call := fmt.Sprintf("Subscribe(%+v)", o)
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	var got []store.Recorded
	more, next := 3, o.From
	for page, err := range w.real.Subscribe(ctx, o) {
		head, _ := w.model.Head(ctx)
		switch {
		case err != nil:
			t.Fatalf("%s: %v, after %d events, next is %d of %d", call, err, len(got), next, head)
		case page.Next < next:
			t.Fatalf("%s: Next is %d after %d", call, page.Next, next)
		case page.End && (page.Head > head || page.Head < head && !w.quirks.NoReadAll):
			t.Fatalf("%s: Head is %d, want %d", call, page.Head, head)
		}
		got, next = append(got, page.Events...), page.Next
		if page.End && next > head {
			if more == 0 {
				break
			}
			w.appendTo(t, w.stream(t), store.Any)
			more--
		}
	}
	want, err := w.model.ReadAll(ctx, store.LogOptions{From: o.From, Filter: o.Filter})
	if err != nil {
		t.Fatal(err)
	}
	w.same(t, call, got, want.Events)
}
