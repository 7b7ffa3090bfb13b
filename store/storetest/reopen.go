package storetest

import (
	"testing"

	"github.com/evolvego/evolve/store"
)

// RunDurable checks that a store keeps its data when it is closed and opened again. Run
// it in addition to [Run].
//
// Each call of open must return a function that opens one new store without events.
// RunDurable closes that store and calls the function again, which must then open the
// same store. The store must be an [io.Closer]. The optional capabilities are the same
// as for Run.
func RunDurable(t *testing.T, open func(t *testing.T) (reopen func() store.Store)) {
	t.Helper()
	runSuites(t, durableSuites(), open(t)(), open)
}

func durableSuites() []suite {
	return []suite{
		{name: "Reopened", clauses: []clause{
			{"every event is unchanged", reopenedEvents},
			{"versions continue", reopenedVersions},
			{"event ids are still known", reopenedIDs},
		}},
		{name: "Reopened log", needs: hasLog, lacking: "store.Log", clauses: []clause{
			{"every event has its position, and positions continue", reopenedLog},
			{"a consumer continues after its checkpoint", reopenedConsumer},
		}},
		{name: "Reopened tenants", needs: hasTenants, lacking: "store.Tenants", clauses: []clause{
			{"each tenant has its data", reopenedTenants},
		}},
		{name: "Reopened snapshots", needs: hasSnapshots, lacking: "store.Snapshots", clauses: []clause{
			{"they are unchanged", reopenedSnapshots},
		}},
		{name: "Reopened checkpoints", needs: hasCheckpoints, lacking: "store.Checkpoints", clauses: []clause{
			{"they are unchanged", reopenedCheckpoints},
		}},
		{name: "Reopened documents", needs: hasDocuments, lacking: "store.Documents with an Update", clauses: []clause{
			{"they are unchanged", reopenedDocuments},
		}},
		{name: "Reopened claims", needs: hasClaims, lacking: "store.Claims", clauses: []clause{
			{"a held key has its holder, and a released key is free", reopenedClaims},
		}},
		{name: "Reopened leases", needs: hasLeases, lacking: "store.Leases", clauses: []clause{
			{"a lease has its owner, and the fence continues", reopenedLeases},
		}},
	}
}

// again closes st and returns the reopened store.
func (t *check) again(st store.Store) store.Store {
	t.Helper()
	t.close(st)
	return t.open()
}

func reopenedEvents(t *check) {
	st := t.open()
	var streams []store.Stream
	var before [][]store.Recorded
	for n := range 3 {
		s, _ := t.filled(st, "reopened", n+1)
		streams, before = append(streams, s), append(before, t.allOf(st, s, n+1))
	}
	for range 2 {
		st = t.again(st)
		for i, s := range streams {
			if diff := differAll(t.all(st, s), before[i]); diff != "" {
				t.Fatalf("stream %+q, reopened: %s", s, diff)
			}
		}
	}
}

func reopenedVersions(t *check) {
	st := t.open()
	s, before := t.filled(st, "reopened", 3)
	st = t.again(st)
	stale := newEvents(1)
	_, err := st.Append(t.ctx, s, store.Exactly(2), stale)
	t.wantConflict(appendCall(s, store.Exactly(2), stale)+" at version 3, reopened", err,
		store.ConflictError{Stream: s, Expected: store.Exactly(2), Actual: 3})
	_, err = st.Append(t.ctx, s, store.NoStream, stale)
	t.wantConflict(appendCall(s, store.NoStream, stale)+" on a stream that exists, reopened", err,
		store.ConflictError{Stream: s, Expected: store.NoStream, Actual: 3})
	more := newEvents(2)
	t.append(st, s, store.Exactly(3), more...)
	t.wantStream(st, s, append(before, more...))
}

func reopenedIDs(t *check) {
	st := t.open()
	s, events := newStream("reopened"), newEvents(2)
	first := t.append(st, s, store.NoStream, events...)
	st = t.again(st)
	first.Replayed = true
	if got, err := st.Append(t.ctx, s, store.NoStream, events); err != nil || got != first {
		t.Fatalf("%s of recorded events, reopened = %+v, %s; want %+v", appendCall(s, store.NoStream, events), got, answer(err), first)
	}
	other := newStream("other")
	_, err := st.Append(t.ctx, other, store.NoStream, events[1:])
	t.wantDuplicate(appendCall(other, store.NoStream, events[1:])+" of an id in another stream, reopened", err,
		store.DuplicateError{Stream: other, EventID: events[1].ID, In: s, Version: 2})
}

func reopenedLog(t *check) {
	st := as[logStore](t, t.open())
	a, _ := t.filled(st, "reopened", 2)
	t.filled(st, "reopened", 1)
	before := t.logOf(st, 3)
	st = as[logStore](t, t.again(st))
	t.wantHead(st, before[len(before)-1].Position)
	if diff := differAll(t.log(st, store.LogOptions{}), before); diff != "" {
		t.Fatalf("the log, reopened: %s", diff)
	}
	got := t.append(st, a, store.Exactly(2), newEvents(1)...)
	if last := before[len(before)-1].Position; got.Position <= last {
		t.Fatalf("an append after position %d, reopened, has position %d", last, got.Position)
	}
	t.wantHead(st, got.Position)
}

func reopenedConsumer(t *check) {
	st := as[logStore](t, t.open())
	s, _ := t.filled(st, "reopened", 3)
	handled := t.logOf(st, 3)
	c := checkpointAt(&handled[1])
	st = as[logStore](t, t.again(st))
	t.append(st, s, store.Exactly(3), newEvents(1)...)
	from, err := store.Resume(t.ctx, st, c)
	if err != nil {
		t.Fatalf("Resume after %+v, reopened, failed: %v", c, err)
	}
	if diff := differAll(t.log(st, store.LogOptions{From: from}), t.logOf(st, 4)[2:]); diff != "" {
		t.Fatalf("the events after %+v, reopened: %s", c, diff)
	}
}

func reopenedTenants(t *check) {
	const acme, other = "reopened-acme", "reopened-other"
	st := t.open()
	s, events := t.filled(t.tenant(st, acme), "reopened", 2)
	rest := newEvents(1)
	t.append(t.tenant(st, other), s, store.NoStream, rest...)
	st = t.again(st)
	t.wantStream(t.tenant(st, acme), s, events)
	t.wantStream(t.tenant(st, other), s, rest)
	t.wantNoStream(st, s, "other tenants created it")
}

func reopenedSnapshots(t *check) {
	st := t.open()
	s, _ := t.filled(st, "reopened", 2)
	snap := store.Snapshot{Stream: s, Schema: "v1", Version: 2, Data: []byte("state")}
	t.saveSnapshot(as[store.Snapshots](t, st), snap)
	st = t.again(st)
	t.wantSnapshot(as[store.Snapshots](t, st), s, "v1", &snap)
	t.wantSnapshot(as[store.Snapshots](t, st), s, "v2", nil)
}

func reopenedCheckpoints(t *check) {
	st := t.open()
	name, first := newConsumer(), store.Checkpoint{Position: 3, EventID: "third"}
	t.saveCheckpoint(as[store.Checkpoints](t, st), name, store.Checkpoint{}, first)
	checkpoints := as[store.Checkpoints](t, t.again(st))
	t.wantCheckpoint(checkpoints, name, first)
	t.saveCheckpoint(checkpoints, name, first, store.Checkpoint{Position: 4, EventID: "fourth"})
}

func reopenedDocuments(t *check) {
	st, kind := t.open(), newKind()
	docs := []store.Document{{Kind: kind, ID: "a", Data: []byte("one")}, {Kind: kind, ID: "b"}, {Kind: kind, ID: "c", Data: []byte{}}}
	t.saveDocuments(st, docs[0], store.Document{Kind: kind, ID: "b", Data: []byte("removed")}, docs[2])
	t.saveDocuments(st, docs[1])
	st = t.again(st)
	t.must(t.committed(as[store.Documents](t, st)).wantsLoad(kind, docs))
	t.must(t.committed(as[store.Documents](t, st)).wantsScan(kind, "", "", 0, []store.Document{docs[0], docs[2]}))
}

func reopenedClaims(t *check) {
	st := as[claimStore](t, t.open())
	held, released, s, other := newKey(), newKey(), newStream("reopened"), newStream("other")
	t.claim(st, s, take(held, released))
	t.claim(st, s, giveBack(released))
	st = as[claimStore](t, t.again(st))
	t.wantHolder(st, held, s)
	t.wantHolder(st, released, store.Stream{})
	t.refuseClaim(st, other, take(held), held, s, nil)
	t.claim(st, other, take(released))
}

func reopenedLeases(t *check) {
	st := t.open()
	held := t.acquire(as[store.Leases](t, st), newLease(), "owner", long, 1)
	st = t.again(st)
	t.wantHeld(as[store.Leases](t, st), held)
	t.release(as[store.Leases](t, st), held)
	t.acquire(as[store.Leases](t, t.again(st)), held.Name, "another", long, 2)
}
