package bench_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

var account = store.Stream{Type: "Account", ID: "acc-1"}

// event is the last event of a stream, with a link to the one before it. It is the
// state of a one-stream store, for porcupine.
type event struct {
	id      string
	version uint64
	sum     uint64 // all ids up to here
	before  *event
}

func (e *event) head() uint64 {
	if e == nil {
		return 0
	}
	return e.version
}

func (e *event) then(ids []string) *event {
	for _, id := range ids {
		next := &event{id: id, version: e.head() + 1, before: e}
		sum := fnv.New64a()
		if e != nil {
			_ = binary.Write(sum, binary.LittleEndian, e.sum)
		}
		_, _ = sum.Write([]byte(id))
		next.sum = sum.Sum64()
		e = next
	}
	return e
}

// find returns the newest event for which is returns true, or nil.
func (e *event) find(is func(e *event) bool) *event {
	for e != nil && !is(e) {
		e = e.before
	}
	return e
}

// at returns the event with this version.
func (e *event) at(version uint64) *event {
	return e.find(func(e *event) bool { return e.version == version })
}

func (e *event) equal(o *event) bool {
	return e == o || e != nil && o != nil && e.version == o.version && e.sum == o.sum
}

// call is a call of a store, for porcupine.
type call struct {
	*history.Op
	unknown bool
	again   bool // its events were also sent in another call
}

// model is a store of one stream, as simple as its contract.
var model = porcupine.Model{
	Init:  func() any { return (*event)(nil) },
	Equal: func(a, b any) bool { return a.(*event).equal(b.(*event)) }, //nolint:errcheck // step returns this type
	Step: func(state, input, _ any) (bool, any) {
		return step(state.(*event), input.(*call)) //nolint:errcheck // operations makes this type
	},
}

func step(last *event, c *call) (bool, any) {
	if c.Expected == 0 {
		return c.unknown || c.Page.Head == last.head() && has(last, c.Page.Events), last
	}
	if c.again {
		if first := last.find(func(e *event) bool { return e.id == c.IDs[0] }); first != nil {
			end := first.version + uint64(len(c.IDs)) - 1
			if last.at(end).equal(first.before.then(c.IDs)) {
				return c.unknown || c.Err == nil && c.Appended.Replayed && c.Appended.Version == end, last
			}
			return c.unknown || errors.Is(c.Err, store.ErrDuplicate), last
		}
	}
	if !c.Expected.Matches(last.head()) {
		var conflict *store.ConflictError
		return c.unknown || errors.As(c.Err, &conflict) && conflict.Actual == last.head(), last
	}
	end := last.head() + uint64(len(c.IDs))
	if !c.unknown && (c.Err != nil || c.Appended.Replayed || c.Appended.Version != end) {
		return false, last
	}
	return true, last.then(c.IDs)
}

// has reports whether the stream, whose newest event is last, has these events.
func has(last *event, events []store.Recorded) bool {
	for i := range events {
		if last = last.at(events[i].Version); last == nil || last.id != events[i].ID {
			return false
		}
	}
	return true
}

// operations returns h for porcupine, with a read of everything at the end. A call with
// an unknown outcome never returns, because it may take effect at any later time.
func operations(h history.History) []porcupine.Operation {
	end, final := int64(0), (*event)(nil).then(h.Final)
	for i := range h.Ops {
		end = max(end, h.Ops[i].Call, h.Ops[i].Return)
	}
	last := history.Op{Stream: account, Call: end + 1, Return: end + 2, Page: store.Page{Head: final.head()}}
	for ; final != nil; final = final.before {
		last.Page.Events = append(last.Page.Events, store.Recorded{Event: store.Event{ID: final.id}, Version: final.version})
	}
	sent := map[string]int{}
	for i := range h.Ops {
		for _, id := range h.Ops[i].IDs {
			sent[id]++
		}
	}
	ops := make([]porcupine.Operation, 0, len(h.Ops)+1)
	for i := range h.Ops {
		c := &call{Op: &h.Ops[i]}
		c.again = slices.ContainsFunc(c.IDs, func(id string) bool { return sent[id] > 1 })
		c.unknown = c.Return == 0 || c.Err != nil && !store.Definite(c.Err)
		over := c.Return
		if c.unknown {
			over = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: c.Client, Input: c, Call: c.Call, Return: over})
	}
	return append(ops, porcupine.Operation{Input: &call{Op: &last}, Call: last.Call, Return: last.Return})
}

// newHistory returns a legal history. It makes the calls of clients one after the
// other, on a store that sometimes fails, and then widens the time span of each call.
func newHistory(tb testing.TB, random *rand.Rand, calls int) history.History {
	tb.Helper()
	st := memory.New()
	faults := faults.Wrap(st, random.Uint64(), faults.Rate{Down: 0.02, Lost: 0.02, Late: 0.02})
	r := history.Record(faults)
	var sent []store.Event
	for i := range calls {
		ctx := history.WithClient(context.Background(), i%4)
		if random.IntN(2) == 0 {
			_, _ = r.Read(ctx, account, store.ReadOptions{Backward: true, Limit: 1 + random.IntN(3)})
			continue
		}
		events := []store.Event{{ID: strconv.Itoa(i), Type: "T"}, {ID: fmt.Sprint(i, "+"), Type: "T"}}[:1+random.IntN(2)]
		if len(sent) > 0 && random.IntN(4) == 0 {
			events = sent
		}
		sent = events
		page, err := st.Read(ctx, account, store.ReadOptions{Limit: 1})
		if err != nil {
			tb.Fatal(err)
		}
		e := []store.Expected{store.Any, store.Exactly(page.Head), store.Exactly(page.Head), store.Exactly(page.Head + 1)}[random.IntN(4)]
		_, _ = r.Append(ctx, account, e, events)
	}
	faults.Land()
	h, err := r.History(context.Background(), st, account)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range h.Ops {
		h.Ops[i].Call, h.Ops[i].Return = int64(100*i-random.IntN(150)), int64(100*i+1+random.IntN(150))
	}
	return h
}

// spoil changes the time or the result of a call.
func spoil(random *rand.Rand, h *history.History) {
	i, j := random.IntN(len(h.Ops)), random.IntN(len(h.Ops))
	a, b := &h.Ops[i], &h.Ops[j]
	switch random.IntN(6) {
	case 0:
		by := int64(random.IntN(1200) - 600)
		a.Call, a.Return = a.Call+by, a.Return+by
	case 1:
		if (a.Expected == 0) == (b.Expected == 0) && reflect.DeepEqual(a.Read, b.Read) {
			a.Page, b.Page = b.Page, a.Page
		}
	case 2:
		a.Err, b.Err = b.Err, a.Err
		if a.Expected == 0 || b.Expected == 0 { // a read is never refused, and an append has no page
			a.Err, b.Err = b.Err, a.Err
		}
	case 3:
		if a.Expected != 0 && a.Err == nil {
			a.Appended.Version = 1 + uint64(random.IntN(len(h.Ops)))
		}
	case 4:
		if len(h.Final) > 0 {
			h.Final = h.Final[:len(h.Final)-1]
		}
	case 5:
		if a.Expected != 0 {
			a.Appended.Replayed = !a.Appended.Replayed
		}
	}
}

// TestCheck checks that history.Check and porcupine agree on random histories.
func TestCheck(t *testing.T) {
	t.Parallel()
	legal, broken := 0, 0
	for seed := range uint64(6000) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newHistory(t, random, 2+random.IntN(14))
		if seed%3 > 0 {
			spoil(random, &h)
		}
		want := porcupine.CheckOperations(model, operations(h))
		if err := history.Check(h); (err == nil) != want {
			for i := range h.Ops {
				t.Logf("%d-%d %q %s", h.Ops[i].Call, h.Ops[i].Return, h.Ops[i].IDs, &h.Ops[i])
			}
			t.Fatalf("seed %d: history.Check = %v, and porcupine says %t; in the end %q", seed, err, want, h.Final)
		}
		if want {
			legal++
		} else {
			broken++
		}
	}
	if t.Logf("%d legal, %d broken", legal, broken); legal < 1000 || broken < 1000 {
		t.Errorf("%d legal and %d broken histories are too few of one", legal, broken)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, calls := range []int{50, 500} {
		h := newHistory(b, rand.New(rand.NewPCG(uint64(calls), 0)), calls)
		ops := operations(h)
		b.Run(fmt.Sprintf("calls=%d/by=evolve", calls), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := history.Check(h); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("calls=%d/by=porcupine", calls), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !porcupine.CheckOperations(model, ops) {
					b.Fatal("it is not linearizable")
				}
			}
		})
	}
}
