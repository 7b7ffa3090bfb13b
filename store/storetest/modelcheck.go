package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// modelAgrees lets rapid draw seeds of histories, so that the flags and failure files
// of rapid work. It shortens a failing history itself, which is simple because a
// history without one of its steps is also a history.
func modelAgrees(t *check) {
	histories := histories()
	left := t.times(100)
	var failed *failure
	rapid.Check(t.TB, func(rt *rapid.T) {
		seed := rapid.IntRange(0, math.MaxInt32).Draw(rt, "seed of the history")
		if failed == nil && left > 0 {
			left--
			failed = t.fails(seed, histories.Example(seed))
		}
		if failed != nil && failed.seed == seed {
			rt.Fatalf("%s", failed)
		}
	})
}

// failure is a history whose last step the store and the model answer differently.
type failure struct {
	seed  int
	steps []step
	diff  string
}

func (f *failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the store and the model differ after %d steps, the last of these (seed %d):\n", len(f.steps), f.seed)
	for i, s := range f.steps {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, s)
	}
	return b.String() + f.diff
}

// fails returns the shortest failure found, or nil if steps do not fail.
func (t *check) fails(seed int, steps []step) *failure {
	n, diff := t.replay(steps)
	if diff == "" {
		return nil
	}
	f := &failure{seed, steps[:n], diff}
	deadline := time.Now().Add(time.Second)
	for size := len(f.steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(f.steps) && time.Now().Before(deadline); {
			shorter := slices.Delete(slices.Clone(f.steps), at, at+size)
			if n, diff := t.replay(shorter); diff != "" {
				f.steps, f.diff = shorter[:n], diff
			} else {
				at += size
			}
		}
	}
	return f
}

// replay runs steps on a new store until a result differs from that of the model. It
// returns the number of steps and the difference.
func (t *check) replay(steps []step) (n int, diff string) {
	models := t.models()
	for i, s := range steps {
		if diff := models[s.Tenant%len(models)].take(t, s); diff != "" {
			return i + 1, diff
		}
	}
	for _, m := range models {
		if diff := m.whole(t); diff != "" {
			return len(steps), "at the end: " + diff
		}
	}
	return len(steps), ""
}

// models returns models of two new tenants, or of a new store if it has no tenants.
func (t *check) models() []*model {
	if !hasTenants(t.store) {
		return []*model{newModel(t.open())}
	}
	a, b := t.newTenants()
	return []*model{newModel(a), newModel(b)}
}

// model is the simplest correct store: one slice.
type model struct {
	st      store.Store
	log     []store.Recorded
	holders map[string]store.Stream // by key
}

func newModel(st store.Store) *model { return &model{st: st, holders: make(map[string]store.Stream)} }

// stream returns the events of s.
func (m *model) stream(s store.Stream) []store.Recorded {
	var events []store.Recorded
	for i := range m.log {
		if m.log[i].Stream == s {
			events = append(events, m.log[i])
		}
	}
	return events
}

// take runs step s on the store and the model, and returns how the results differ.
func (m *model) take(t *check, s step) string {
	stream := modelStream(s.Stream)
	switch s.Call {
	case "Append", "AppendClaiming":
		return m.append(t, stream, modelExpected(s.Expected), s.Events, modelClaims(s.Claims))
	case "Read":
		return m.read(t, stream, s.readOptions())
	}
	return m.readAll(t, s.logOptions())
}

func (m *model) append(t *check, s store.Stream, expected store.Expected, choices []choice, claims []store.Claim) string {
	events := make([]store.Event, len(choices))
	for i, c := range choices {
		events[i] = c.event()
	}
	st, ok := m.st.(store.Claims)
	if !ok {
		claims = nil
	}
	want, wantErr := m.answer(s, expected, events, claims)
	var got store.Appended
	var err error
	if len(claims) > 0 {
		got, err = st.AppendClaiming(t.ctx, s, expected, judge.Clone(events), slices.Clone(claims))
	} else {
		got, err = m.st.Append(t.ctx, s, expected, judge.Clone(events))
	}
	if diff := differErrors(err, wantErr); diff != "" || err != nil {
		return diff
	}
	if got.Version != want.Version || got.Replayed != want.Replayed || got.Replayed && got.Position != want.Position {
		return fmt.Sprintf("got %+v, want %+v", got, want)
	}
	if want.Replayed {
		return ""
	}
	for _, c := range claims {
		if m.holders[c.Key] = s; c.Release {
			delete(m.holders, c.Key)
		}
	}
	first := got.Version - uint64(len(events)) + 1
	page, err := m.st.Read(t.ctx, s, store.ReadOptions{From: first})
	if err != nil || len(page.Events) != len(events) || page.Events[len(events)-1].Position != got.Position {
		return fmt.Sprintf("a read of the appended events returns %d events, %s; want %d, the last one at position %d",
			len(page.Events), answer(err), len(events), got.Position)
	}
	for i := range page.Events {
		if diff := differ(&page.Events[i], s, first+uint64(i), &events[i]); diff != "" {
			return "the appended events are read differently: " + diff
		}
	}
	m.log = append(m.log, page.Events...)
	return ""
}

// answer returns the result that an append must have.
func (m *model) answer(s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) (store.Appended, error) {
	if err := errors.Join(store.ValidateAppend(s, expected, events), store.ValidateClaims(claims)); err != nil {
		return store.Appended{}, err
	}
	stream := m.stream(s)
	for i := range events {
		at := slices.IndexFunc(m.log, func(r store.Recorded) bool { return r.ID == events[i].ID })
		if at < 0 {
			continue
		}
		taken := m.log[at]
		last := int(taken.Version) - 1 + len(events)
		if i == 0 && taken.Stream == s && last <= len(stream) &&
			slices.EqualFunc(stream[last-len(events):last], events, func(r store.Recorded, e store.Event) bool { return r.Same(&e) }) {
			return store.Appended{Version: uint64(last), Position: stream[last-1].Position, Replayed: true}, nil
		}
		return store.Appended{}, &store.DuplicateError{Stream: s, EventID: taken.ID, In: taken.Stream, Version: taken.Version}
	}
	if actual := uint64(len(stream)); !expected.Matches(actual) {
		return store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: actual}
	}
	for _, c := range claims {
		if holder, held := m.holders[c.Key]; held && holder != s {
			return store.Appended{}, &store.ClaimedError{Stream: s, Key: c.Key, Holder: holder}
		}
	}
	return store.Appended{Version: uint64(len(stream) + len(events))}, nil
}

// differErrors returns how got differs from want. Either can be nil.
func differErrors(got, want error) string {
	wantConflict, isConflict := judge.IsA[*store.ConflictError](want, store.ErrConflict)
	wantDuplicate, isDuplicate := judge.IsA[*store.DuplicateError](want, store.ErrDuplicate)
	wantClaimed, isClaimed := judge.IsA[*store.ClaimedError](want, store.ErrClaimed)
	var same bool
	switch {
	case isConflict:
		conflict, ok := judge.IsA[*store.ConflictError](got, store.ErrConflict)
		same = ok && *conflict == *wantConflict
	case isDuplicate:
		duplicate, ok := judge.IsA[*store.DuplicateError](got, store.ErrDuplicate)
		same = ok && *duplicate == *wantDuplicate
	case isClaimed:
		claimed, ok := judge.IsA[*store.ClaimedError](got, store.ErrClaimed)
		same = ok && *claimed == *wantClaimed
	case want != nil:
		same = errors.Is(got, store.ErrInvalid)
	default:
		same = got == nil
	}
	if same {
		return ""
	}
	return fmt.Sprintf("got %s, want %s", answer(got), answer(want))
}

func (m *model) read(t *check, s store.Stream, o store.ReadOptions) string {
	page, err := m.st.Read(t.ctx, s, o)
	if diff := differErrors(err, o.Validate()); diff != "" || err != nil {
		return diff
	}
	all := m.stream(s)
	if diff := judge.Page(o, uint64(len(all)), &page); diff != "" {
		return diff
	}
	for i := range page.Events {
		if diff := differRecorded(&page.Events[i], &all[page.Events[i].Version-1]); diff != "" {
			return diff
		}
	}
	return ""
}

// readAll reads from a position that is given by its number in the model, because
// positions can have gaps.
func (m *model) readAll(t *check, o store.LogOptions) string {
	log, ok := m.st.(store.Log)
	if !ok {
		return ""
	}
	if o.From > 0 && o.From <= uint64(len(m.log)) {
		o.From = m.log[o.From-1].Position
	}
	if o.Validate() != nil {
		_, err := log.ReadAll(t.ctx, o)
		return differErrors(err, o.Validate())
	}
	got, err := readLog(t.ctx, log, o)
	if err != nil {
		return err.Error()
	}
	return differAll(got, choose(m.log, o))
}

// whole compares everything.
func (m *model) whole(t *check) string {
	for n := range 3 {
		got, err := judge.ReadStream(t.ctx, m.st, modelStream(n))
		if err != nil {
			return err.Error()
		}
		if diff := differAll(got, m.stream(modelStream(n))); diff != "" {
			return fmt.Sprintf("stream %s: %s", modelStream(n), diff)
		}
	}
	if diff := m.readAll(t, store.LogOptions{}); diff != "" {
		return "the log: " + diff
	}
	return m.wholeClaims(t)
}

// wholeClaims compares the holders of all keys.
func (m *model) wholeClaims(t *check) string {
	st, ok := m.st.(store.Claims)
	if !ok {
		return ""
	}
	for _, key := range modelKeys() {
		want, held := m.holders[key]
		if got, ok, err := st.Holder(t.ctx, key); err != nil || ok != held || got != want {
			return fmt.Sprintf("Holder(%q) = %q, %t, %s; want %q, %t", key, got, ok, answer(err), want, held)
		}
	}
	return ""
}
