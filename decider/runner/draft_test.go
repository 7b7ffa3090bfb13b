package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// unreadable is an amount that brokenCodec writes and cannot read.
const unreadable = 13

// brokenCodec cannot read the amount unreadable, and cannot encode every second event
// that withdraws it.
type brokenCodec struct {
	textCodec

	withdrawn *int
}

func (c brokenCodec) Encode(e event) (store.Event, error) {
	switch e {
	case deposited{unreadable}:
		return store.Event{Type: "Deposited", Data: []byte("thirteen")}, nil
	case withdrawn{unreadable}:
		if *c.withdrawn++; *c.withdrawn%2 == 0 {
			return store.Event{}, errUnregistered
		}
	}
	return c.textCodec.Encode(e)
}

const cannotRead = "encode the events for Account/a: the codec cannot read what it wrote"

// Events that cannot be read, or of which only the first can be encoded, are not recorded.
func TestBrokenEvents(t *testing.T) {
	t.Parallel()
	st := newSpy()
	r := runner.New("Account", bank, store.Store(st), codec.Codec[event](brokenCodec{withdrawn: new(int)}))
	must(t, r, "a", open{"ann"})
	if _, err := r.Handle(t.Context(), "a", deposit{unreadable}); err == nil || !strings.Contains(err.Error(), cannotRead) {
		t.Errorf("Handle = %v, want that the codec cannot read the event", err)
	}
	must(t, r, "a", deposit{100})
	if _, err := r.Handle(t.Context(), "a", withdraw{unreadable, 2}); !errors.Is(err, errUnregistered) {
		t.Errorf("Handle = %v, want %v", err, errUnregistered)
	}
	checkHistory(t, st, opened{"ann"}, deposited{100})
}

// In a batch they do not affect the other commands, which are appended together.
func TestBrokenEventsInABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newSpy()
		must(t, newAccounts(st), "a", open{"ann"})
		g := runner.NewGroup(runner.New("Account", bank, store.Store(st), codec.Codec[event](brokenCodec{withdrawn: new(int)})))
		defer g.Close()
		st.calls()
		results := together(t, g, st, []command{deposit{100}, deposit{unreadable}, withdraw{unreadable, 2}, deposit{1}})
		if err := results[1].err; err == nil || !strings.Contains(err.Error(), cannotRead) {
			t.Errorf("Handle = %v, want that the codec cannot read the event", err)
		}
		if err := results[2].err; !errors.Is(err, errUnregistered) {
			t.Errorf("Handle = %v, want %v", err, errUnregistered)
		}
		for _, i := range []int{0, 3} {
			if got := results[i]; got.err != nil || got.out.Attempts != 1 {
				t.Errorf("call %d = %+v, %v, want one attempt", i, got.out, got.err)
			}
		}
		checkHistory(t, st.Store, opened{"ann"}, deposited{100}, deposited{1})
		if appends, _ := st.calls(); len(appends) != 1 || len(appends[0].ids) != 2 {
			t.Errorf("appends %+v, want one with the events of both commands", appends)
		}
	})
}

// countingCodec counts the events that it decodes.
type countingCodec struct {
	codec.Codec[event]

	vouches bool
	decoded *int
}

func (c countingCodec) Vouches() bool { return c.vouches }

func (c countingCodec) Decode(dst []event, recorded []store.Recorded) ([]event, error) {
	*c.decoded += len(recorded)
	return c.Codec.Decode(dst, recorded)
}

// Events are read back before they are appended, unless the codec vouches for them or
// they are kept as they are.
func TestEventsAreReadBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		codec   codec.Codec[event]
		vouches bool
		want    int
	}{
		"text":                          {textCodec{}, false, 3},
		"text, and the codec vouches":   {textCodec{}, true, 0},
		"values":                        {codec.Values[event](), false, 0},
		"values, and the codec vouches": {codec.Values[event](), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoded := 0
			r := runner.New("Account", bank, store.Store(memory.New()), codec.Codec[event](countingCodec{tt.codec, tt.vouches, &decoded})).
				WithCache(runner.Cache[account]{})
			must(t, r, "a", open{"ann"})
			must(t, r, "a", withdraw{0, 2})
			if decoded != tt.want {
				t.Errorf("decoded %d events, want %d", decoded, tt.want)
			}
		})
	}
}

// Events have the time at which they were decided, and what a group appended is as fresh
// as that.
func TestTimeOfEvents(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, grouped := range map[string]bool{"runner": false, "group": true} {
		st := newSpy()
		r := newAccounts(st).WithClock(func() time.Time { return now }).WithCache(runner.Cache[account]{})
		g := runner.NewGroup(r)
		handle := r.Handle
		if grouped {
			handle = g.Handle
		}
		if _, err := handle(t.Context(), "a", open{"ann"}); err != nil {
			t.Fatal(err)
		}
		g.Close()
		if _, recorded := history(t, st.Store, "a"); !recorded[0].Time.Equal(now) {
			t.Errorf("%s: the event is from %v, want %v", name, recorded[0].Time, now)
		}
		st.calls()
		load(t, r, "a", runner.AllowStale(time.Second))
		if _, reads := st.calls(); len(reads) != 0 {
			t.Errorf("%s: %d reads of a stream that was written just now, want none", name, len(reads))
		}
	}
}

// pagedStore returns small pages, without the capabilities of the store.
type pagedStore struct {
	store.Store

	size  int
	rooms *[]int // of the buffers that it gets
}

func (s pagedStore) Read(ctx context.Context, name store.Stream, o store.ReadOptions) (store.Page, error) {
	*s.rooms = append(*s.rooms, cap(o.Buffer))
	o.Limit = s.size
	return s.Store.Read(ctx, name, o)
}

// A command is found and replayed on however many pages its events are. Each page is read
// into the memory of the previous one, and none after the command's events.
func TestPagesOfAnySize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 8; size++ {
		var rooms []int
		st := memory.New()
		must(t, newAccounts(st), "a", open{"ann"})
		want := must(t, newAccounts(st), "a", withdraw{0, 5}, runner.CommandID("c"))
		must(t, newAccounts(st), "a", deposit{1})
		must(t, newAccounts(st), "a", deposit{2})
		r := newAccounts(pagedStore{st, size, &rooms})
		if at := load(t, r, "a"); at.Version != 8 || at.State.Balance != 3 {
			t.Errorf("pages of %d: Load = %+v, want version 8", size, at)
		}
		if slices.ContainsFunc(rooms[1:], func(room int) bool { return room < size }) {
			t.Errorf("pages of %d: they were read into buffers of %v events", size, rooms)
		}
		rooms = nil
		again := must(t, r, "a", withdraw{0, 5}, runner.CommandID("c"))
		if !again.Replayed || !slices.Equal(again.Events, want.Events) || again.Position != want.Position || again.Version != 8 {
			t.Errorf("pages of %d: Handle = %+v, want the events of %+v", size, again, want)
		}
		if reads := (8+size-1)/size + (6+size-1)/size + 1; len(rooms) != reads {
			t.Errorf("pages of %d: %d reads, want %d: of the stream, of the command's events and the next one, and of the end", size, len(rooms), reads)
		}
	}
}
