package storetest

import (
	"fmt"
	"slices"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func hasTenants(st store.Store) bool {
	_, ok := st.(store.Tenants)
	return ok
}

func tenantClauses() []clause {
	return []clause{
		{"the same id returns the same tenant", tenantIsTheSame},
		{"the store that was opened is the default tenant", tenantDefault},
		{"streams with the same name are separate", tenantStreams},
		{"conflicts reveal nothing about another tenant", tenantConflicts},
		{"event ids are separate", tenantIDs},
		{"writers of two tenants never conflict", tenantWriters},
		{"logs are separate", tenantLogs},
		{"subscriptions are separate", tenantSubscriptions},
		{"snapshots are separate", tenantSnapshots},
		{"checkpoints are separate", tenantCheckpoints},
		{"claims are separate", tenantClaims},
		{"leases are separate", tenantLeases},
		{"tenants are kept apart, byte for byte", tenantNames},
		{"invalid ids are refused", tenantRefuses},
	}
}

// tenant returns the store of tenant id. It fails if Tenant returns an error.
func (t *check) tenant(st store.Store, id string) store.Store {
	t.Helper()
	tenant, err := as[store.Tenants](t, st).Tenant(id)
	if err != nil || tenant == nil {
		t.Fatalf("Tenant(%+q) = %v, %s; want a store", id, tenant, answer(err))
	}
	return tenant
}

// newTenants returns the stores of two new tenants of one backend.
func (t *check) newTenants() (a, b store.Store) {
	t.Helper()
	tag := store.NewID()
	return t.tenant(t.store, "a-"+tag), t.tenant(t.store, "b-"+tag)
}

// newTenantsAs is newTenants for stores that are also a T; it skips the clause if the
// opened store is not a T.
func newTenantsAs[T any](t *check, lacking string) (a, b T) {
	t.Helper()
	if _, ok := t.store.(T); !ok {
		t.Skipf("%T is not a %s", t.store, lacking)
	}
	x, y := t.newTenants()
	return as[T](t, x), as[T](t, y)
}

func tenantIsTheSame(t *check) {
	id := "same-" + store.NewID()
	s, events := t.filled(t.tenant(t.store, id), "same", 2)
	t.wantStream(t.tenant(t.store, id), s, events)
	more := newEvents(1)
	t.append(t.tenant(t.store, id), s, store.Exactly(2), more...)
	t.wantStream(t.tenant(t.store, id), s, append(events, more...))
}

func tenantDefault(t *check) {
	s, events := t.filled(t.store, "default", 2)
	tenant := t.tenant(t.store, store.DefaultTenant)
	t.wantStream(tenant, s, events)
	other, more := t.filled(tenant, "default", 1)
	t.wantStream(t.store, other, more)
}

func tenantStreams(t *check) {
	a, b := t.newTenants()
	s, inA := t.filled(a, "shared", 3)
	t.wantNoStream(b, s, "another tenant had created it")
	inB := newEvents(2)
	t.append(b, s, store.NoStream, inB...)
	more := newEvents(1)
	t.append(a, s, store.Exactly(3), more...)
	t.wantStream(a, s, append(inA, more...))
	t.wantStream(b, s, inB)
	t.wantNoStream(t.store, s, "other tenants had created it")
}

func tenantConflicts(t *check) {
	a, b := t.newTenants()
	s, _ := t.filled(a, "conflict", 3)
	for _, expected := range []store.Expected{store.Exactly(3), store.Exactly(1), store.Exists} {
		events := newEvents(1)
		_, err := b.Append(t.ctx, s, expected, events)
		t.wantConflict(appendCall(s, expected, events)+", the stream is another tenant's", err,
			store.ConflictError{Stream: s, Expected: expected})
	}
	t.append(b, s, store.NoStream, newEvents(1)...)
	events := newEvents(1)
	_, err := b.Append(t.ctx, s, store.Exactly(3), events)
	t.wantConflict(appendCall(s, store.Exactly(3), events)+", at the version of another tenant's stream", err,
		store.ConflictError{Stream: s, Expected: store.Exactly(3), Actual: 1})
}

func tenantIDs(t *check) {
	a, b := t.newTenants()
	s, inA := t.filled(a, "ids", 2)
	inB := judge.Clone(inA)
	inB[1].Data = []byte("of tenant b")
	t.append(b, s, store.NoStream, inB...)
	t.wantStream(a, s, inA)
	t.wantStream(b, s, inB)
	other := newStream("other")
	for tenant, events := range map[store.Store][]store.Event{a: inA, b: inB} {
		if got, err := tenant.Append(t.ctx, s, store.Any, events); err != nil || !got.Replayed || got.Version != 2 {
			t.Fatalf("%s again = %+v, %s; want version 2, replayed", appendCall(s, store.Any, events), got, answer(err))
		}
		_, err := tenant.Append(t.ctx, other, store.Any, events)
		t.wantDuplicate(appendCall(other, store.Any, events), err,
			store.DuplicateError{Stream: other, EventID: events[0].ID, In: s, Version: 1})
	}
	_, err := a.Append(t.ctx, s, store.Any, inB)
	t.wantDuplicate(appendCall(s, store.Any, inB)+", the batch of another tenant", err,
		store.DuplicateError{Stream: s, EventID: inA[0].ID, In: s, Version: 1})
}

func tenantWriters(t *check) {
	a, b := t.newTenants()
	s := newStream("writers")
	each := t.times(30)
	written := make([][]store.Event, 2)
	t.together(2, func(i int) error {
		tenant := []store.Store{a, b}[i]
		for n := range each {
			events := newEvents(1)
			events[0].ID = fmt.Sprintf("%d-%s", n, s.ID) // the same id in both tenants
			events[0].Data = fmt.Appendf(nil, "%d of tenant %d", n, i)
			if _, err := tenant.Append(t.ctx, s, store.Exactly(uint64(n)), events); err != nil {
				return fmt.Errorf("%s, concurrently with another tenant: %w", appendCall(s, store.Exactly(uint64(n)), events), err)
			}
			written[i] = append(written[i], events...)
		}
		return nil
	})
	t.wantStream(a, s, written[0])
	t.wantStream(b, s, written[1])
}

func tenantLogs(t *check) {
	a, b := newTenantsAs[logStore](t, "store.Log")
	t.wantHead(b, 0)
	s := newStream("logs")
	var inA, inB []string
	for i := range 8 {
		events := newEvents(1 + i%2)
		t.append(a, s, store.Any, events...)
		inA = append(inA, idsOf(events)...)
		if i%3 == 0 {
			head := t.append(b, s, store.Any, events...).Position
			inB = append(inB, idsOf(events)...)
			more := newEvents(1)
			t.append(a, s, store.Any, more...)
			inA = append(inA, idsOf(more)...)
			t.wantHead(b, head)
		}
	}
	for _, o := range []store.LogOptions{
		{}, {Limit: 1}, {Backward: true}, {Limit: 2, Backward: true}, {Filter: store.Filter{StreamTypes: []string{s.Type}}}, {Filter: store.Filter{IDPrefix: s.ID}},
	} {
		for _, of := range []struct {
			log store.Log
			ids []string
		}{{a, inA}, {b, inB}} {
			var got []string
			for _, e := range t.log(of.log, o) {
				got = append(got, e.ID)
			}
			if o.Backward {
				slices.Reverse(got)
			}
			if !slices.Equal(got, of.ids) {
				t.Fatalf("%s of one of two tenants has %d events, want only its own %d: got the ids %q, want %q", logCall(o), len(got), len(of.ids), got, of.ids)
			}
		}
	}
	page, err := b.ReadAll(t.ctx, store.LogOptions{})
	if head, _ := b.Head(t.ctx); err != nil || page.Head != head {
		t.Fatalf("ReadAll of a tenant = Head %d, %s; want its own head, %d", page.Head, answer(err), head)
	}
}

func idsOf(events []store.Event) []string {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	return ids
}

func tenantSubscriptions(t *check) {
	a, b := newTenantsAs[logStore](t, "store.Log")
	t.mixed(a, 5)
	f := t.subscribe(b, store.LogOptions{})
	defer f.cancel()
	t.wantFeed(f, nil)
	for range 5 {
		t.mixed(a, 3)
		t.mixed(b, 2)
	}
	end := newEvent("end")
	t.append(b, newStream("end"), store.NoStream, end)
	got, err := f.until(end.ID)
	t.must(err)
	if diff := differAll(got, t.log(b, store.LogOptions{})); diff != "" {
		t.Fatalf("Subscribe to one of two tenants, compared with its log: %s", diff)
	}
	if len(got) != 11 {
		t.Fatalf("Subscribe to one of two tenants yielded %d events, want only its own 11", len(got))
	}
	t.closeFeed(f)
}

func tenantSnapshots(t *check) {
	a, b := newTenantsAs[store.Snapshots](t, "store.Snapshots")
	s := newStream("snapshots")
	inA := store.Snapshot{Stream: s, Schema: "v1", Version: 9, Data: []byte("of tenant a")}
	inB := store.Snapshot{Stream: s, Schema: "v1", Version: 3, Data: []byte("of tenant b")}
	t.saveSnapshot(a, inA)
	t.wantSnapshot(b, s, "v1", nil)
	t.saveSnapshot(b, inB)
	t.wantSnapshot(a, s, "v1", &inA)
	t.wantSnapshot(b, s, "v1", &inB)
}

func tenantCheckpoints(t *check) {
	a, b := newTenantsAs[store.Checkpoints](t, "store.Checkpoints")
	name := "consumer " + store.NewID()
	zero, inA, inB := store.Checkpoint{}, store.Checkpoint{Position: 7, EventID: "a"}, store.Checkpoint{Position: 5, EventID: "b"}
	t.saveCheckpoint(a, name, zero, inA)
	t.wantCheckpoint(b, name, zero)
	t.saveCheckpoint(b, name, zero, inB)
	t.wantCheckpoint(a, name, inA)
	t.wantCheckpoint(b, name, inB)
}

func tenantClaims(t *check) {
	a, b := newTenantsAs[claimStore](t, "store.Claims")
	s, key := newStream("claims"), newKey()
	other := newStream("claims")
	t.claim(a, s, take(key))
	t.wantHolder(b, key, store.Stream{})
	t.claim(b, s, giveBack(key))
	t.wantHolder(a, key, s)
	t.claim(b, other, take(key))
	t.wantHolder(a, key, s)
	t.wantHolder(b, key, other)
}

func tenantLeases(t *check) {
	a, b := newTenantsAs[store.Leases](t, "store.Leases")
	name := newLease()
	inA := t.acquire(a, name, "owner", long, 1)
	inB := t.acquire(b, name, "another", long, 1)
	t.release(b, inA)
	t.release(a, inB)
	t.wantHeld(a, inA)
	t.wantHeld(b, inB)
	t.release(a, inA)
	t.acquire(a, name, "owner", long, 2)
	t.wantHeld(b, inB)
}

func tenantNames(t *check) {
	s := newStream("names")
	tenants := make(map[string][]store.Event)
	for _, name := range fresh(newTag()) {
		tenants[name] = newEvents(1)
		t.append(t.tenant(t.store, name), s, store.Any, tenants[name]...)
	}
	for name, events := range tenants {
		if diff := differStream(t.all(t.tenant(t.store, name), s), s, events); diff != "" {
			t.Fatalf("stream %s of tenant %+q: %s", s, name, diff)
		}
	}
}

func tenantRefuses(t *check) {
	tenants := as[store.Tenants](t, t.store)
	for _, bad := range badNames() {
		_, err := tenants.Tenant(bad.text)
		t.wantInvalid(fmt.Sprintf("Tenant(%.40q), %s", bad.text, bad.what), err, "tenant")
	}
}
