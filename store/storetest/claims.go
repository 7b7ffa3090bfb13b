package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func hasClaims(st store.Store) bool {
	_, ok := st.(store.Claims)
	return ok
}

func claimClauses() []clause {
	return []clause{
		{"a claimed key has a holder, and a free key has none", claimHolder},
		{"the append is like one without claims", claimAppends},
		{"a refused claim leaves no event and no other claim", claimRefused},
		{"a refused append leaves no claim", claimOfRefused},
		{"only the holder can take its key again", claimAgain},
		{"a released key can be taken", claimRelease},
		{"only the holder can release a key", claimReleaseByOthers},
		{"a repeated append is replayed, whoever holds the keys", claimReplay},
		{"a duplicate and a conflict are reported before a claim", claimOrder},
		{"keys are kept apart, byte for byte", claimKeys},
		{"the maximum number of claims", claimMany},
		{"invalid claims are refused", claimInvalid},
		{"exactly one of 8 concurrent claimers wins", claimContention},
		{"two streams never hold a key at the same time", claimExclusion},
		{"events and claims become visible together", claimTogether},
		{"nothing is claimed with an ended context", claimEnded},
		{"an append whose context ends at any moment makes events and claims or neither", claimEndsAtAnyMoment},
	}
}

// claimStore is a store with claims.
type claimStore interface {
	store.Store
	store.Claims
}

func (t *check) claims() claimStore { return as[claimStore](t, t.store) }

func newKey() string { return "key:" + store.NewID() }

func take(keys ...string) []store.Claim {
	claims := make([]store.Claim, len(keys))
	for i, key := range keys {
		claims[i].Key = key
	}
	return claims
}

func giveBack(key string) []store.Claim { return []store.Claim{{Key: key, Release: true}} }

func claimCall(s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) string {
	return fmt.Sprintf("AppendClaiming(%q, %q, expecting %s, %d events, %.200q)", s.Type, s.ID, expected, len(events), fmt.Sprint(claims))
}

// claim appends a new event to s with claims, and returns the event. It fails if the
// append does not succeed.
func (t *check) claim(st store.Claims, s store.Stream, claims []store.Claim) []store.Event {
	t.Helper()
	events := newEvents(1)
	got, err := st.AppendClaiming(t.ctx, s, store.Any, events, claims)
	if err != nil || got.Replayed {
		t.Fatalf("%s = %+v, %s; want success", claimCall(s, store.Any, events, claims), got, answer(err))
	}
	return events
}

// wantHolder fails unless s holds key; if s is the zero Stream, no stream may hold key.
func (t *check) wantHolder(st store.Claims, key string, s store.Stream) {
	t.Helper()
	got, ok, err := st.Holder(t.ctx, key)
	if err != nil || got != s || ok != (s != store.Stream{}) {
		t.Fatalf("Holder(%+.100q) = %+q, %t, %s; want %+q", key, got, ok, answer(err), s)
	}
}

// wantClaimed fails unless err is the *ClaimedError want.
func (t *check) wantClaimed(call string, err error, want store.ClaimedError) {
	t.Helper()
	got, ok := judge.IsA[*store.ClaimedError](err, store.ErrClaimed)
	if !ok {
		t.Fatalf("%s = %s, want a *ClaimedError that matches ErrClaimed", call, answer(err))
	}
	if *got != want {
		t.Fatalf("%s = %+v, want %+v", call, *got, want)
	}
}

// refuseClaim appends to s, which has the events before, with claims. It fails unless
// the claims are refused because holder holds key, and nothing is left of the append.
func (t *check) refuseClaim(st claimStore, s store.Stream, claims []store.Claim, key string, holder store.Stream, before []store.Event) {
	t.Helper()
	events := newEvents(2)
	_, err := st.AppendClaiming(t.ctx, s, store.Any, events, claims)
	call := claimCall(s, store.Any, events, claims)
	t.wantClaimed(call, err, store.ClaimedError{Stream: s, Key: key, Holder: holder})
	if diff := differStream(t.all(st, s), s, before); diff != "" {
		t.Fatalf("after the refused %s, stream %s: %s", call, s, diff)
	}
}

func claimHolder(t *check) {
	st, s := t.claims(), newStream("holder")
	first, second, other := newKey(), newKey(), newKey()
	t.wantHolder(st, first, store.Stream{})
	t.claim(st, s, take(first, second))
	t.wantHolder(st, first, s)
	t.wantHolder(st, second, s)
	t.wantHolder(st, other, store.Stream{})
}

func claimAppends(t *check) {
	st, s := t.claims(), newStream("claiming")
	all := newEvents(5)
	for i, claims := range [][]store.Claim{nil, take(newKey()), {}} {
		events, version := all[2*i:min(2*i+2, 5)], uint64(2*i)
		call := claimCall(s, store.Exactly(version), events, claims)
		got, err := st.AppendClaiming(t.ctx, s, store.Exactly(version), events, claims)
		if err != nil || got.Version != version+uint64(len(events)) || got.Replayed {
			t.Fatalf("%s = %+v, %s; want version %d", call, got, answer(err), version+uint64(len(events)))
		}
		page := t.read(st, s, store.ReadOptions{From: got.Version})
		if len(page.Events) != 1 || page.Events[0].Position != got.Position {
			t.Fatalf("%s = %+v, but a read finds %d events at that version; want one at that position", call, got, len(page.Events))
		}
	}
	t.wantStream(st, s, all)
}

func claimRefused(t *check) {
	st, holder, s, missing := t.claims(), newStream("holder"), newStream("refused"), newStream("missing")
	taken, free, free2 := newKey(), newKey(), newKey()
	t.claim(st, holder, take(taken))
	before := t.claim(st, s, nil)
	for range 2 { // the second time shows that the first left nothing
		t.refuseClaim(st, s, take(free, taken, free2), taken, holder, before)
		t.refuseClaim(st, missing, take(taken), taken, holder, nil)
		t.wantHolder(st, free, store.Stream{})
		t.wantHolder(st, free2, store.Stream{})
		t.wantHolder(st, taken, holder)
	}
	t.wantNoStream(st, missing, "refused claims")
	events := newEvents(2)
	if _, err := st.AppendClaiming(t.ctx, s, store.Any, events, take(taken)); err == nil {
		t.Fatalf("%s of a key held by %s succeeded", claimCall(s, store.Any, events, take(taken)), holder)
	}
	t.append(st, newStream("elsewhere"), store.NoStream, events...) // no id is reserved
}

func claimOfRefused(t *check) {
	st := t.claims()
	s, before := t.filled(st, "refused", 2)
	key := newKey()
	for _, expected := range []store.Expected{store.NoStream, store.Exactly(1), store.Exactly(3)} {
		events := newEvents(1)
		_, err := st.AppendClaiming(t.ctx, s, expected, events, take(key))
		t.wantConflict(claimCall(s, expected, events, take(key)), err, store.ConflictError{Stream: s, Expected: expected, Actual: 2})
		t.wantHolder(st, key, store.Stream{})
	}
	other := newStream("other")
	_, err := st.AppendClaiming(t.ctx, other, store.Any, before, take(key))
	t.wantDuplicate(claimCall(other, store.Any, before, take(key)), err,
		store.DuplicateError{Stream: other, EventID: before[0].ID, In: s, Version: 1})
	t.wantHolder(st, key, store.Stream{})
	_, err = st.AppendClaiming(t.ctx, s, store.Any, nil, take(key))
	t.wantInvalid(claimCall(s, store.Any, nil, take(key)), err, "events")
	t.wantHolder(st, key, store.Stream{})
	t.claim(st, other, take(key))
}

func claimAgain(t *check) {
	st, s, other, key := t.claims(), newStream("holder"), newStream("other"), newKey()
	events := t.claim(st, s, take(key))
	events = append(events, t.claim(st, s, take(key, newKey()))...)
	t.wantHolder(st, key, s)
	t.wantStream(st, s, events)
	// Type and id together identify a stream.
	for _, other := range []store.Stream{other, {Type: "Order", ID: s.ID}, {Type: s.Type, ID: s.ID + " "}} {
		t.refuseClaim(st, other, take(key), key, s, nil)
	}
}

func claimRelease(t *check) {
	st, a, b, key := t.claims(), newStream("a"), newStream("b"), newKey()
	t.claim(st, a, giveBack(key)) // no stream holds it
	t.wantHolder(st, key, store.Stream{})
	for _, s := range []store.Stream{a, b, a} {
		kept := newKey()
		t.claim(st, s, take(key, kept))
		t.wantHolder(st, key, s)
		t.claim(st, s, giveBack(key))
		t.wantHolder(st, key, store.Stream{})
		t.wantHolder(st, kept, s)
	}
	next := newKey()
	t.claim(st, a, take(key))
	t.claim(st, a, append(giveBack(key), take(next)...)) // exchanges an old key for a new one
	t.wantHolder(st, key, store.Stream{})
	t.wantHolder(st, next, a)
	t.claim(st, b, take(key))
}

func claimReleaseByOthers(t *check) {
	st, holder, s, key := t.claims(), newStream("holder"), newStream("other"), newKey()
	t.claim(st, holder, take(key))
	before := t.claim(st, s, nil)
	t.refuseClaim(st, s, giveBack(key), key, holder, before)
	t.wantHolder(st, key, holder)
}

func claimReplay(t *check) {
	st, a, b, key := t.claims(), newStream("a"), newStream("b"), newKey()
	events := t.claim(st, a, take(key))
	again := func(claims []store.Claim) {
		t.Helper()
		got, err := st.AppendClaiming(t.ctx, a, store.NoStream, events, claims)
		if err != nil || !got.Replayed || got.Version != 1 {
			t.Fatalf("%s again = %+v, %s; want version 1, replayed", claimCall(a, store.NoStream, events, claims), got, answer(err))
		}
	}
	again(take(key))
	t.wantHolder(st, key, a)
	t.claim(st, a, giveBack(key))
	again(take(key))
	t.wantHolder(st, key, store.Stream{})
	t.claim(st, b, take(key))
	again(take(key))
	again(giveBack(key))
	t.wantHolder(st, key, b)
}

func claimOrder(t *check) {
	st, holder, key := t.claims(), newStream("holder"), newKey()
	first := t.claim(st, holder, take(key))
	s, before := t.filled(st, "order", 2)
	events := newEvents(1)
	_, err := st.AppendClaiming(t.ctx, s, store.Exactly(1), events, take(key))
	t.wantConflict(claimCall(s, store.Exactly(1), events, take(key))+" of a key that another stream holds", err,
		store.ConflictError{Stream: s, Expected: store.Exactly(1), Actual: 2})
	_, err = st.AppendClaiming(t.ctx, s, store.Exactly(2), first, take(key))
	t.wantDuplicate(claimCall(s, store.Exactly(2), first, take(key))+" of a key that another stream holds", err,
		store.DuplicateError{Stream: s, EventID: first[0].ID, In: holder, Version: 1})
	t.refuseClaim(st, s, take(key), key, holder, before)
}

func claimKeys(t *check) {
	st := t.claims()
	holders := make(map[string]store.Stream)
	for i, key := range fresh(newTag()) {
		t.wantHolder(st, key, store.Stream{})
		holders[key] = newStream(fmt.Sprint("strange ", i))
		t.claim(st, holders[key], take(key))
	}
	for key, s := range holders {
		t.wantHolder(st, key, s)
	}
}

func claimMany(t *check) {
	st, s := t.claims(), newStream("many")
	keys := make([]string, store.MaxClaims)
	for i := range keys {
		keys[i] = fmt.Sprintf("%d of %s", i, s.ID)
	}
	claims := take(keys...)
	t.claim(st, s, claims)
	for _, i := range []int{0, 99, 100, 500, store.MaxClaims - 1} {
		t.wantHolder(st, keys[i], s)
	}
	for i := range claims {
		claims[i].Release = true
	}
	t.claim(st, s, claims)
	for _, i := range []int{0, 99, 100, 500, store.MaxClaims - 1} {
		t.wantHolder(st, keys[i], store.Stream{})
	}
}

func claimInvalid(t *check) {
	st := t.claims()
	s, before := t.filled(st, "invalid", 1)
	key := newKey()
	events := newEvents(1)
	refused := func(claims []store.Claim, field string) {
		t.Helper()
		for _, stream := range []store.Stream{s, newStream("missing")} {
			_, err := st.AppendClaiming(t.ctx, stream, store.Any, events, claims)
			t.wantInvalid(claimCall(stream, store.Any, events, claims), err, field)
		}
		t.wantStream(st, s, before)
		t.wantHolder(st, key, store.Stream{})
	}
	for _, bad := range badNames() {
		refused(append(take(key), take(bad.text)...), "claims[1].key")
		_, _, err := st.Holder(t.ctx, bad.text)
		t.wantInvalid(fmt.Sprintf("Holder(%.40q)", bad.text), err, "key")
	}
	refused(take(key, key), "claims[1].key")
	refused(append(take(key), giveBack(key)...), "claims[1].key")
	many := take(key)
	for len(many) <= store.MaxClaims {
		many = append(many, take(newKey())...)
	}
	refused(many, "claims")
	t.append(st, s, store.Exactly(1), events...)
}

func claimContention(t *check) {
	st := t.claims()
	for range t.times(25) {
		key := newKey()
		streams := make([]store.Stream, 8)
		won := make([]bool, len(streams))
		lost := make([]*store.ClaimedError, len(streams))
		t.together(len(streams), func(i int) error {
			streams[i] = newStream("claimer")
			events := newEvents(1)
			_, err := st.AppendClaiming(t.ctx, streams[i], store.NoStream, events, take(newKey(), key))
			if won[i] = err == nil; won[i] {
				return nil
			}
			var ok bool
			if lost[i], ok = judge.IsA[*store.ClaimedError](err, store.ErrClaimed); !ok {
				return fmt.Errorf("%s, 8 times concurrently for one key = %s, want success or a *ClaimedError",
					claimCall(streams[i], store.NoStream, events, take(key)), answer(err))
			}
			return nil
		})
		winners, holder := 0, store.Stream{}
		for i, s := range streams {
			if won[i] {
				winners, holder = winners+1, s
			}
		}
		if winners != 1 {
			t.Fatalf("%d of 8 concurrent claims of one key succeeded, want 1", winners)
		}
		t.wantHolder(st, key, holder)
		for i, s := range streams {
			if won[i] {
				continue
			}
			if want := (store.ClaimedError{Stream: s, Key: key, Holder: holder}); *lost[i] != want {
				t.Fatalf("the refused claim is %+v, want %+v", *lost[i], want)
			}
			t.wantNoStream(st, s, "a refused claim")
		}
	}
}

func claimExclusion(t *check) {
	st, key := t.claims(), newKey()
	streams := []store.Stream{newStream("exclusive 0"), newStream("exclusive 1"), newStream("exclusive 2"), newStream("exclusive 3")}
	var holders atomic.Int64
	t.contend(len(streams), t.times(25), func(i int) (won bool, err error) {
		s := streams[i]
		_, err = st.AppendClaiming(t.ctx, s, store.Any, newEvents(1), take(key))
		if errors.Is(err, store.ErrClaimed) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("a claim, concurrently with others: %w", err)
		}
		if n := holders.Add(1); n != 1 {
			return false, fmt.Errorf("%d streams took key %q, and none has released it", n, key)
		}
		for range 20 { // gives the others time
			runtime.Gosched()
			if holder, ok, err := st.Holder(t.ctx, key); err != nil || holder != s {
				return false, fmt.Errorf("stream %s took key %q, but its holder is %q, %t, %s", s, key, holder, ok, answer(err))
			}
		}
		holders.Add(-1)
		if _, err := st.AppendClaiming(t.ctx, s, store.Any, newEvents(1), giveBack(key)); err != nil {
			return false, fmt.Errorf("releasing a key, concurrently with others: %w", err)
		}
		return true, nil
	})
}
