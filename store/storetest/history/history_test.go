package history_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

var account = store.Stream{Type: "Account", ID: "acc-1"}

// errLost is the error of a call whose result was lost.
var errLost = errors.New("the result was lost")

// answered is the simplest correct store of one stream, for making histories. Its ids
// are in ids, and ends has the last version of each batch.
type answered struct {
	ids  []string
	ends map[int]bool
}

// do makes op take effect now and returns op with its result.
func (a *answered) do(op history.Op) history.Op {
	op.Err, op.Appended, op.Page = nil, store.Appended{}, store.Page{}
	head := len(a.ids)
	if op.Expected == 0 {
		op.Page = store.Page{Head: uint64(head), End: true, Next: uint64(head) + 1}
		for i, id := range a.ids {
			op.Page.Events = append(op.Page.Events, store.Recorded{Event: store.Event{ID: id}, Version: uint64(i + 1)})
		}
		return op
	}
	first := slices.Index(a.ids, op.IDs[0])
	taken := slices.IndexFunc(op.IDs, func(id string) bool { return slices.Contains(a.ids, id) })
	switch {
	case first >= 0 && first+len(op.IDs) <= head && slices.Equal(op.IDs, a.ids[first:first+len(op.IDs)]):
		op.Appended = store.Appended{Version: uint64(first + len(op.IDs)), Replayed: true}
	case taken >= 0:
		id := op.IDs[taken]
		version := uint64(slices.Index(a.ids, id) + 1)
		op.Err = &store.DuplicateError{Stream: account, EventID: id, In: account, Version: version}
	case !op.Expected.Matches(uint64(head)):
		op.Err = &store.ConflictError{Stream: account, Expected: op.Expected, Actual: uint64(head)}
	default:
		a.ids = append(a.ids, op.IDs...)
		a.ends[len(a.ids)] = true
		op.Appended = store.Appended{Version: uint64(len(a.ids))}
	}
	return op
}

// drawOps draws calls and their times: each call has a moment at which it takes effect,
// and time before and after it. The results are those of a store in which each call
// happens at its moment, so the history is linearizable.
func drawOps(t *rapid.T, most int) history.History {
	n := rapid.IntRange(1, most).Draw(t, "calls")
	st := answered{ends: map[int]bool{}}
	h := history.History{Stream: account}
	var sent, recorded [][]string
	for i := range n {
		op := history.Op{Client: i % 4, Stream: account}
		op.Call = int64(100*i - rapid.IntRange(0, 300).Draw(t, "early"))
		op.Return = int64(100*i + rapid.IntRange(1, 300).Draw(t, "late"))
		if rapid.IntRange(0, 2).Draw(t, "append") > 0 {
			head := uint64(len(st.ids))
			op.Expected = rapid.SampledFrom([]store.Expected{store.Any, store.Exactly(head), store.Exactly(head + 1), store.NoStream}).Draw(t, "expected")
			op.IDs = drawBatch(t, i, sent, recorded)
			sent = append(sent, op.IDs)
		}
		unknown := rapid.IntRange(0, 7).Draw(t, "unknown") == 0
		if !unknown || rapid.Bool().Draw(t, "happens") {
			op = st.do(op)
		}
		if unknown {
			op.Err = errLost
		}
		if op.Expected != 0 && op.Err == nil && !op.Appended.Replayed {
			recorded = append(recorded, op.IDs)
		}
		h.Ops = append(h.Ops, op)
	}
	h.Final = st.ids
	return h
}

// drawBatch draws a new batch, a batch that was sent before, or a batch with an event
// that is already recorded.
func drawBatch(t *rapid.T, i int, sent, recorded [][]string) []string {
	ids := []string{fmt.Sprintf("e%d.1", i), fmt.Sprintf("e%d.2", i)}[:rapid.IntRange(1, 2).Draw(t, "events")]
	how := rapid.IntRange(0, 9).Draw(t, "again")
	switch {
	case how <= 1 && len(sent) > 0:
		return rapid.SampledFrom(sent).Draw(t, "batch")
	case how == 2 && len(recorded) > 0:
		return slices.Concat(ids, rapid.SampledFrom(recorded).Draw(t, "taken")[:1])
	case how == 3 && len(recorded) > 0:
		return slices.Concat(rapid.SampledFrom(recorded).Draw(t, "taken")[:1], ids)
	}
	return ids
}

// linearizable tries every order of the calls. It uses only the appends and their
// results, so it is independent of Check.
func linearizable(h history.History) bool {
	var try func(left []history.Op, st answered) bool
	try = func(left []history.Op, st answered) bool {
		if len(left) == 0 {
			return slices.Equal(st.ids, h.Final)
		}
		for i, op := range left {
			if slices.ContainsFunc(left, func(o history.Op) bool { return endOf(o) < op.Call }) {
				continue
			}
			rest := slices.Concat(left[:i], left[i+1:])
			if isUnknown(op) && try(rest, st) { // it never happens
				return true
			}
			after := answered{slices.Clone(st.ids), map[int]bool{}}
			if got := after.do(op); (isUnknown(op) || sameAnswer(got, op)) && try(rest, after) {
				return true
			}
		}
		return false
	}
	return try(h.Ops, answered{ends: map[int]bool{}})
}

func isUnknown(op history.Op) bool {
	return op.Return == 0 || op.Err != nil && !store.Definite(op.Err)
}

func endOf(op history.Op) int64 {
	if isUnknown(op) {
		return 1 << 62
	}
	return op.Return
}

func sameAnswer(a, b history.Op) bool {
	if a.Err != nil || b.Err != nil {
		return fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
	}
	if a.Expected != 0 {
		return a.Appended == b.Appended
	}
	return a.Page.Head == b.Page.Head &&
		slices.EqualFunc(a.Page.Events, b.Page.Events, func(a, b store.Recorded) bool { return a.ID == b.ID })
}

// TestCheckLegal checks that linearizable histories pass.
func TestCheckLegal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawOps(t, 40)
		if err := history.Check(h); err != nil {
			t.Fatal(err)
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(h.Ops), func(i, j int) { h.Ops[i], h.Ops[j] = h.Ops[j], h.Ops[i] })
		if err := history.Check(h); err != nil {
			t.Fatalf("in another order: %v", err)
		}
	})
}

// TestCheckExact spoils histories and checks that Check agrees with trying every order.
func TestCheckExact(t *testing.T) {
	t.Parallel()
	legal, broken := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			h := drawOps(t, 6)
			spoil(t, &h)
			want := linearizable(h)
			if err := history.Check(h); (err == nil) != want {
				t.Fatalf("Check = %v, but trying every order says linearizable: %t\n%s\nin the end %q", err, want, listed(h), h.Final)
			}
			if want {
				legal++
			} else {
				broken++
			}
		}
	})
	if legal < 50 || broken < 50 {
		t.Errorf("%d legal and %d broken histories: too few of one kind", legal, broken)
	}
}

// spoil changes a result, or a time.
func spoil(t *rapid.T, h *history.History) {
	op := &h.Ops[rapid.IntRange(0, len(h.Ops)-1).Draw(t, "spoilt")]
	switch rapid.IntRange(0, 9).Draw(t, "how") {
	case 0:
		by := int64(rapid.IntRange(-900, 900).Draw(t, "by"))
		op.Call, op.Return = op.Call+by, op.Return+by
	case 1:
		other := h.Ops[rapid.IntRange(0, len(h.Ops)-1).Draw(t, "with")]
		other.Client, other.Call, other.Return = op.Client, op.Call, op.Return
		*op = other
	case 2:
		if version := rapid.IntRange(0, 5).Draw(t, "version"); op.Expected != 0 {
			op.Err, op.Appended.Version = nil, uint64(version)
		}
	case 3:
		op.Appended.Replayed = !op.Appended.Replayed
	case 4:
		if op.Expected != 0 {
			op.Err = errLost
		}
	case 5:
		if op.Expected == 0 {
			*op = (&answered{ids: h.Final, ends: map[int]bool{}}).do(*op)
		}
	case 6:
		if op.Expected != 0 {
			op.Err = &store.ConflictError{Stream: account, Expected: op.Expected, Actual: uint64(rapid.IntRange(0, 5).Draw(t, "actual"))}
		}
	case 7:
		if len(h.Final) > 0 {
			h.Final = slices.Delete(slices.Clone(h.Final), 0, 1)
		}
	case 8:
		if n := len(op.Page.Events); n > 0 {
			op.Page.Events[n-1].ID = "another"
		}
	case 9:
		if op.Expected != 0 {
			op.Expected = store.Exactly(uint64(rapid.IntRange(0, 5).Draw(t, "expected")))
			if conflict := new(store.ConflictError); errors.As(op.Err, &conflict) {
				op.Err = &store.ConflictError{Stream: account, Expected: op.Expected, Actual: conflict.Actual}
			}
		}
	}
}

func listed(h history.History) string {
	var text strings.Builder
	for i := range h.Ops {
		fmt.Fprintf(&text, "%d-%d %q %s\n", h.Ops[i].Call, h.Ops[i].Return, h.Ops[i].IDs, &h.Ops[i])
	}
	return text.String()
}

// wrote returns an append of ids whose result is a version, or err.
func wrote(client int, from, to int64, e store.Expected, version uint64, err error, ids ...string) history.Op {
	return history.Op{
		Client: client, Call: from, Return: to, Stream: account, Expected: e, IDs: ids,
		Appended: store.Appended{Version: version}, Err: err,
	}
}

// read returns a read of the whole stream.
func read(client int, from, to int64, ids ...string) history.Op {
	op := (&answered{ids: ids}).do(history.Op{Stream: account})
	op.Client, op.Call, op.Return = client, from, to
	return op
}

func conflict(e store.Expected, actual uint64) error {
	return &store.ConflictError{Stream: account, Expected: e, Actual: actual}
}

func duplicate(version uint64, id string) error {
	return &store.DuplicateError{Stream: account, EventID: id, In: account, Version: version}
}

// TestCheckSays checks the error for each kind of broken history: the reason, and the
// calls that contradict each other.
func TestCheckSays(t *testing.T) {
	t.Parallel()
	a, b := wrote(0, 1, 2, store.NoStream, 1, nil, "a"), wrote(1, 3, 4, store.Exactly(1), 2, nil, "b")
	lost := func(e store.Expected, ids ...string) history.Op { return wrote(0, 1, 2, e, 0, errLost, ids...) }
	page := func(change func(*store.Page)) history.Op {
		op := read(2, 5, 6, "a", "b")
		change(&op.Page)
		return op
	}
	for name, tt := range map[string]struct {
		final string
		do    []history.Op
		want  []string
	}{
		"a stale read": {final: "ab", do: []history.Op{a, wrote(1, 3, 9, store.Exactly(1), 2, nil, "b"), read(2, 5, 6, "a", "b"), read(3, 7, 8, "a")}, want: []string{
			"the first call ended before the second began", "     5-6    C reads from 0: head 2", "     7-8    D reads from 0: head 1",
			"between them:", "     3-9    B appends 1 at version 1: version 2",
		}},
		"a read of the future": {final: "a", do: []history.Op{wrote(0, 3, 4, store.NoStream, 1, nil, "a"), read(1, 1, 2, "a")}, want: []string{
			"the first call", "1-2    B reads", "3-4    A appends 1 at no stream: version 1",
		}},
		"a stale conflict": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.NoStream, 0, conflict(store.NoStream, 1), "c")}, want: []string{
			"the first call", "3-4    B appends", "5-6    C appends 1 at no stream: conflict, version 1",
		}},
		"a conflict for nothing": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.Exactly(2), 0, conflict(store.Exactly(2), 2), "c")}, want: []string{
			"a conflict with version 2, which is the expected version", "C appends",
		}},
		"a conflict in place of a replay": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.NoStream, 0, conflict(store.NoStream, 2), "a")}, want: []string{
			`although event "a" was already version 1`, "C appends", "A appends",
		}},
		"a refused append that is recorded": {final: "ab", do: []history.Op{a, wrote(1, 3, 4, store.NoStream, 0, conflict(store.NoStream, 1), "b")}, want: []string{
			`version 2 is event "b", but no append can have made it`, "B appends",
		}},
		"a lost append": {final: "a", do: []history.Op{a, b}, want: []string{
			"1 events were appended up to version 2, but in the end there are 1", "B appends",
		}},
		"an append at another version": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.Any, 2, nil, "c")}, want: []string{
			`event "c" was appended as version 2, but in the end that is "b"`, "C appends", "B appends",
		}},
		"an append that expected another version": {final: "ab", do: []history.Op{a, wrote(1, 3, 4, store.NoStream, 2, nil, "b")}, want: []string{
			"an append that expected no stream was made at version 1", "B appends", "A appends",
		}},
		"an unknown append that expected another version": {final: "ba", do: []history.Op{wrote(1, 1, 9, store.Any, 1, nil, "b"), lost(store.NoStream, "a")}, want: []string{
			`version 2 is event "a", but no append can have made it`, "A appends",
		}},
		"an append that took effect before it began": {final: "ab", do: []history.Op{wrote(1, 5, 6, store.Any, 1, nil, "a"), wrote(0, 1, 2, store.Any, 2, nil, "b")}, want: []string{
			"the first call", "1-2    A appends", "5-6    B appends",
		}},
		"two appends at one version": {final: "a", do: []history.Op{a, wrote(1, 3, 4, store.NoStream, 1, nil, "a")}, want: []string{
			"two appends made version 1", "B appends", "A appends",
		}},
		"the same event twice":          {final: "aa", do: []history.Op{a}, want: []string{`versions 1 and 2 are the same event "a"`}},
		"an event that nobody appended": {final: "ab", do: []history.Op{a}, want: []string{`version 2 is event "b", but no append can have made it`}},
		"half a batch": {final: "a", do: []history.Op{lost(store.Any, "a", "b")}, want: []string{
			`version 1 is event "a", but no append can have made it`, "A appends 2",
		}},
		"half a batch read": {final: "ab", do: []history.Op{wrote(0, 1, 8, store.Any, 2, nil, "a", "b"), read(1, 3, 4, "a")}, want: []string{
			"a call returned version 1, which is inside a batch that ends at 2", "B reads", "A appends 2",
		}},
		"a version that disappeared": {final: "a", do: []history.Op{a, read(1, 3, 4, "a", "b")}, want: []string{
			"a call returned version 2, but in the end there are only 1", "B reads",
		}},
		"an event that changed": {final: "ab", do: []history.Op{a, b, read(2, 5, 6, "a", "c")}, want: []string{
			`version 2 is event "c" for a read, but in the end it is "b"`, "C reads", "B appends",
		}},
		"a page with a hole": {final: "ab", do: []history.Op{a, b, page(func(p *store.Page) { p.Events = p.Events[1:] })}, want: []string{
			"a page does not match its options", "C reads",
		}},
		"a replay before the append": {final: "a", do: []history.Op{wrote(0, 3, 4, store.Any, 1, nil, "a"), func() history.Op {
			op := wrote(1, 1, 2, store.Any, 1, nil, "a")
			op.Appended.Replayed = true
			return op
		}()}, want: []string{"the first call", "1-2    B appends 1 at any version: version 1, replayed", "3-4    A"}},
		"a duplicate of an unused id": {final: "a", do: []history.Op{a, wrote(1, 3, 4, store.Any, 0, duplicate(2, "b"), "b")}, want: []string{
			`"b" was refused as a duplicate of version 2, which is another event`, "B appends",
		}},
		"a duplicate of another version": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.Any, 0, duplicate(2, "a"), "a", "c")}, want: []string{
			`"a" was refused as a duplicate of version 2, which is another event`, "C appends",
		}},
		"a duplicate of an event that was not appended": {final: "ab", do: []history.Op{a, b, wrote(2, 5, 6, store.Any, 0, duplicate(1, "a"), "c")}, want: []string{
			`"a" was refused as a duplicate of version 1, which is another event`, "C appends",
		}},
		"a duplicate of version 0": {final: "a", do: []history.Op{a, wrote(1, 3, 4, store.Any, 0, duplicate(0, "c"), "c")}, want: []string{
			`"c" was refused as a duplicate of version 0, which is another event`, "B appends",
		}},
		"more events than versions": {final: "a", do: []history.Op{a, wrote(1, 3, 4, store.Any, 1, nil, "a", "c")}, want: []string{
			"2 events were appended up to version 1, but in the end there are 1", "B appends",
		}},
		"a duplicate before the append": {final: "a", do: []history.Op{wrote(0, 3, 4, store.Any, 1, nil, "a"), wrote(1, 1, 2, store.Any, 0, duplicate(1, "a"), "a")}, want: []string{
			"the first call", "1-2    B appends 1 at any version: duplicate of version 1", "3-4    A",
		}},
		"a call that ends before it begins": {do: []history.Op{read(0, 7, 5)}, want: []string{"a call ended before it began", "7-5    A reads"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := history.History{Stream: account, Ops: tt.do}
			for _, id := range tt.final {
				h.Final = append(h.Final, string(id))
			}
			err := history.Check(h)
			if err == nil {
				t.Fatalf("Check found nothing wrong with\n%s", listed(h))
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("Check said\n%s\nwant %q", err, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
				}
			}
		})
	}
}

// TestRecorder checks that concurrent calls on a real store, with lost and late
// results, are recorded as a linearizable history.
func TestRecorder(t *testing.T) {
	t.Parallel()
	st := memory.New()
	faults := faults.Wrap(st, 1, faults.Rate{Down: 0.1, Lost: 0.1, Late: 0.1})
	r := history.Record(faults)
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			ctx := history.WithClient(context.Background(), client)
			for i := range 100 {
				if page, err := r.Read(ctx, account, store.ReadOptions{Backward: i%2 == 0, Limit: 5}); err == nil {
					events := []store.Event{{ID: store.NewID(), Type: "T"}, {ID: store.NewID(), Type: "T"}}
					for range 1 + i%3 {
						_, _ = r.Append(ctx, account, store.Exactly(page.Head), events)
					}
				}
			}
		})
	}
	clients.Wait()
	faults.Land()
	h, err := r.History(t.Context(), st, account)
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Check(h); err != nil {
		t.Error(err)
	}
	unknown := 0
	for _, op := range h.Ops {
		if isUnknown(op) {
			unknown++
		}
		if op.Client < 0 || op.Client > 3 || op.Call >= op.Return || op.Stream != account {
			t.Fatalf("recorded %+v", op)
		}
	}
	if unknown == 0 || len(h.Final) == 0 || len(h.Ops) < 800 {
		t.Errorf("%d of %d calls are unknown, and there are %d events: this tests nothing", unknown, len(h.Ops), len(h.Final))
	}
}
