package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

func updateSeesItself(t *check) {
	w := newWritten("itself")
	var checkpoint store.Checkpoint
	var loaded, scanned []store.Document
	var refused, duplicate, claimed, moved error
	var again, next store.Appended
	t.update(t.store, func(tx store.Tx) error {
		if err := w.write(tx); err != nil {
			return err
		}
		var errs [5]error
		checkpoint, errs[0] = tx.LoadCheckpoint(w.consumer)
		loaded, errs[1] = tx.LoadDocuments(w.document.Kind, []string{w.document.ID})
		scanned, errs[2] = tx.ScanDocuments(w.document.Kind, w.document.ID, "", 1)
		_, refused = tx.Append(w.a, store.NoStream, newEvents(1))
		_, duplicate = tx.Append(w.b, store.Any, w.events[1:2])
		_, claimed = tx.AppendClaiming(w.b, store.Any, newEvents(1), take(w.key))
		moved = tx.SaveCheckpoint(w.consumer, store.Checkpoint{}, w.to)
		again, errs[3] = tx.Append(w.a, store.NoStream, w.events[:2])
		next, errs[4] = tx.Append(w.a, store.Exactly(2), newEvents(2))
		return errors.Join(errs[:]...)
	})
	t.wantConflict("Append(NoStream) in a transaction that has created the stream", refused,
		store.ConflictError{Stream: w.a, Expected: store.NoStream, Actual: 2})
	t.wantDuplicate("Append of an id that the transaction has appended", duplicate,
		store.DuplicateError{Stream: w.b, EventID: w.events[1].ID, In: w.a, Version: 2})
	t.wantClaimed("AppendClaiming of a key that the transaction has claimed", claimed, store.ClaimedError{Stream: w.b, Key: w.key, Holder: w.a})
	switch {
	case checkpoint != w.to:
		t.Fatalf("LoadCheckpoint of the checkpoint that the transaction has saved = %+v, want %+v", checkpoint, w.to)
	case len(loaded) != 1 || string(loaded[0].Data) != string(w.document.Data):
		t.Fatalf("LoadDocuments of the documents that the transaction has saved = %+v, want %+v", loaded, w.document)
	case len(scanned) != 1 || string(scanned[0].Data) != string(w.document.Data):
		t.Fatalf("ScanDocuments of the documents that the transaction has saved = %+v, want %+v", scanned, w.document)
	case !errors.Is(moved, store.ErrConflict):
		t.Fatalf("SaveCheckpoint from the checkpoint before the transaction's save = %s, want an error that matches ErrConflict", answer(moved))
	case !again.Replayed || again.Version != 2:
		t.Fatalf("the same Append again in the transaction = %+v, want version 2, replayed", again)
	case next.Version != 4 || next.Replayed || next.Position <= again.Position:
		t.Fatalf("the next Append in the transaction = %+v, want version 4 at a position after %d", next, again.Position)
	}
	if all := t.all(t.store, w.a); len(all) != 4 || all[3].Position != next.Position || all[1].Position != again.Position {
		t.Fatalf("the transaction got positions %d and %d, but the stream now has %d events, at other positions",
			again.Position, next.Position, len(all))
	}
}

// updateBesideItself lets the function of an Update write through the store instead of
// the transaction. If that write would have to wait for the Update, it would wait for
// itself, so the store must refuse it at once. Otherwise it is a separate write.
func updateBesideItself(t *check) {
	ctx, cancel := context.WithTimeout(t.ctx, t.patience)
	defer cancel()
	s, w := newStream("beside"), newWritten("beside itself")
	consumer, to := newConsumer(), store.Checkpoint{Position: 7, EventID: "seventh"}
	var appended, saved error
	t.update(t.store, func(tx store.Tx) error {
		_, appended = t.store.Append(ctx, s, store.NoStream, newEvents(2))
		saved = as[store.Checkpoints](t, t.store).SaveCheckpoint(ctx, consumer, store.Checkpoint{}, to)
		return w.write(tx)
	})
	if ctx.Err() != nil {
		t.Fatalf("a write to the store in the function of an Update has not returned for %s: it waits for the Update, and so for itself", t.patience)
	}
	for call, err := range map[string]error{"Append": appended, "SaveCheckpoint": saved} {
		if err != nil && !store.Definite(err) {
			t.Fatalf("%s of the store in the function of an Update = %v, want success, or a definite error such as one that matches ErrInvalid", call, err)
		}
	}
	if appended != nil {
		t.wantNoStream(t.store, s, "a refused append to the store in the function of an Update")
	} else if all := t.all(t.store, s); len(all) != 2 {
		t.Fatalf("an append to the store in the function of an Update succeeded, but its stream has %d events, want 2", len(all))
	}
	got, err := as[store.Checkpoints](t, t.store).LoadCheckpoint(t.ctx, consumer)
	if err != nil || (got == to) != (saved == nil) {
		t.Fatalf("after SaveCheckpoint of the store in the function of an Update = %v, LoadCheckpoint = %+v, %v", saved, got, err)
	}
	t.wantWritten(t.store, w, true, "after an Update whose function wrote to the store")
}

func updateGoesOn(t *check) {
	w, other := newWritten("goes on"), newStream("other")
	s, taken := t.filled(t.store, "taken", 2)
	key, free := newKey(), newKey()
	t.claim(as[claimStore](t, t.store), s, take(key))
	want := t.all(t.store, s)
	var refused map[string]error
	t.update(t.store, func(tx store.Tx) error {
		_, conflict := tx.AppendClaiming(s, store.Exactly(1), newEvents(2), take(w.key))
		_, duplicate := tx.Append(other, store.Any, append(newEvents(1), taken[1]))
		_, claimed := tx.AppendClaiming(other, store.NoStream, newEvents(2), take(free, key))
		_, invalid := tx.Append(other, store.NoStream, nil)
		bad := w.document
		bad.Kind = ""
		refused = map[string]error{
			"a conflict": conflict, "a duplicate": duplicate, "a claim": claimed, "an invalid append": invalid,
			"a checkpoint":          tx.SaveCheckpoint(w.consumer, w.to, store.Checkpoint{Position: 9, EventID: "ninth"}),
			"an invalid checkpoint": tx.SaveCheckpoint("", store.Checkpoint{}, w.to),
			"invalid documents":     tx.SaveDocuments([]store.Document{w.document, bad}),
			"an invalid snapshot":   tx.SaveSnapshot(store.Snapshot{Stream: w.a, Schema: "v1"}),
		}
		none := []store.Document{{Kind: w.document.Kind, ID: w.document.ID}}
		if err := (readDocuments{tx.LoadDocuments, tx.ScanDocuments}).wantsLoad(w.document.Kind, none); err != nil {
			return fmt.Errorf("after SaveDocuments refused another document in the same call: %w", err)
		}
		return w.write(tx)
	})
	for what, want := range map[string]error{
		"a conflict": store.ErrConflict, "a duplicate": store.ErrDuplicate, "a claim": store.ErrClaimed, "an invalid append": store.ErrInvalid,
		"a checkpoint": store.ErrConflict, "an invalid checkpoint": store.ErrInvalid, "invalid documents": store.ErrInvalid,
		"an invalid snapshot": store.ErrInvalid,
	} {
		if err := refused[what]; !errors.Is(err, want) {
			t.Fatalf("in a transaction, %s = %s, want %v", what, answer(err), want)
		}
	}
	t.wantWritten(t.store, w, true, "after an Update in which methods were refused")
	t.wantNoStream(t.store, other, "refused appends in a transaction")
	t.wantHolder(as[claimStore](t, t.store), free, store.Stream{})
	if diff := differAll(t.all(t.store, s), want); diff != "" {
		t.Fatalf("after refused appends in a transaction, stream %s: %s", s, diff)
	}
}

func updateReplays(t *check) {
	w := newWritten("replayed")
	var first, inside store.Appended
	t.update(t.store, func(tx store.Tx) (err error) {
		first, err = tx.Append(w.a, store.NoStream, w.events)
		return err
	})
	first.Replayed = true
	if got, err := t.store.Append(t.ctx, w.a, store.NoStream, w.events); err != nil || got != first {
		t.Fatalf("%s of the events that a transaction has appended =  %+v, %s; want %+v", appendCall(w.a, store.NoStream, w.events), got, answer(err), first)
	}
	t.update(t.store, func(tx store.Tx) (err error) {
		inside, err = tx.Append(w.a, store.NoStream, w.events)
		return err
	})
	if inside != first {
		t.Fatalf("in a transaction, %s of recorded events =  %+v, want %+v", appendCall(w.a, store.NoStream, w.events), inside, first)
	}
	t.wantStream(t.store, w.a, w.events)
}

// updateLog runs a reader that follows the log while transactions and plain appends
// write to it.
func updateLog(t *check) {
	const writers = 4 // every other one uses transactions
	st := t.openLog()
	streams := make([]store.Stream, writers)
	for i := range streams {
		streams[i] = newStream("log " + strconv.Itoa(i))
	}
	var running atomic.Int64
	var failed atomic.Bool
	running.Store(writers)
	each := t.times(25)
	var seen []store.Recorded
	t.together(writers+1, func(i int) (err error) {
		defer func() { failed.CompareAndSwap(false, err != nil) }()
		if i == writers {
			seen, err = t.follow(st, streams, func() bool { return running.Load() == 0 || failed.Load() })
			return err
		}
		defer running.Add(-1)
		for n := range uint64(each) {
			if err := t.writeTwice(st, streams[i], 3*n, i%2 == 0); err != nil || failed.Load() {
				return err
			}
		}
		return nil
	})
	if diff := differAll(seen, t.logOf(st, writers*each*3)); diff != "" {
		t.Fatalf("the log, read while transactions and others wrote to it, compared with a read afterwards: %s", diff)
	}
	for _, s := range streams {
		t.allOf(st, s, each*3)
	}
}

// follow reads the log until it is complete. At each end, every other stream of streams
// must have whole transactions, of three events each.
func (t *check) follow(st store.Log, streams []store.Stream, over func() bool) (seen []store.Recorded, err error) {
	o := store.LogOptions{}
	count := make(map[store.Stream]int)
	for {
		last := over()
		page, err := st.ReadAll(t.ctx, o)
		if err != nil {
			return seen, err
		}
		for i := range page.Events {
			count[page.Events[i].Stream]++
		}
		seen, o.From = append(seen, page.Events...), page.Next
		for i := 0; page.End && i < len(streams); i += 2 {
			if n := count[streams[i]]; n%3 != 0 {
				return seen, fmt.Errorf("the log ends after %d events of a stream to which each transaction writes three", n)
			}
		}
		if last && page.End {
			return seen, nil
		}
		runtime.Gosched()
	}
}

// writeTwice appends two events and then one to s, which is at version, in a
// transaction or without one.
func (t *check) writeTwice(st store.Store, s store.Stream, version uint64, inside bool) error {
	two, one := newEvents(2), newEvents(1)
	if !inside {
		_, first := st.Append(t.ctx, s, store.Exactly(version), two)
		_, second := st.Append(t.ctx, s, store.Exactly(version+2), one)
		return errors.Join(first, second)
	}
	return t.tryUpdate(t.ctx, st, func(tx store.Tx) error {
		if _, err := tx.Append(s, store.Exactly(version), two); err != nil {
			return err
		}
		_, err := tx.Append(s, store.Exactly(version+2), one)
		return err
	})
}

func updateHolds(t *check) {
	st := as[store.Checkpoints](t, t.store)
	zero, one, two := store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "e1"}, store.Checkpoint{Position: 2, EventID: "e2"}
	for _, to := range []store.Checkpoint{two, one} { // the first save moves the checkpoint, or keeps it
		name := newConsumer()
		t.saveCheckpoint(st, name, zero, one)
		var leaving atomic.Bool
		held, others := make(chan struct{}), make(chan error, 2)
		hold := sync.OnceFunc(func() { close(held) }) // although Update should call its function once
		late := func(err error) error {
			switch moved := to != one; {
			case err == nil && !leaving.Load():
				return errors.New("another writer moved the checkpoint during a transaction that had saved it")
			case err == nil && moved, err != nil && !errors.Is(err, store.ErrConflict):
				return fmt.Errorf("%s, after a transaction had moved it = %s, want an error that matches ErrConflict",
					checkpointCall(name, one, two), answer(err))
			}
			return err
		}
		go func() {
			<-held
			others <- late(t.tryUpdate(t.ctx, t.store, func(tx store.Tx) error { return late(tx.SaveCheckpoint(name, one, two)) }))
		}()
		go func() {
			<-held
			others <- late(st.SaveCheckpoint(t.ctx, name, one, two))
		}()
		var got store.Checkpoint
		t.update(t.store, func(tx store.Tx) error {
			if err := tx.SaveCheckpoint(name, one, to); err != nil {
				return err
			}
			hold()
			err := pause(t.ctx, 20*time.Millisecond) // gives the others time; they fail only if they get through
			if err == nil {
				got, err = tx.LoadCheckpoint(name)
			}
			leaving.Store(true)
			return err
		})
		if got != to {
			t.Fatalf("LoadCheckpoint in the transaction that saved %+v = %+v", to, got)
		}
		wins := 0
		for range 2 {
			switch err := <-others; {
			case err == nil:
				wins++
			case !errors.Is(err, store.ErrConflict):
				t.must(err)
			}
		}
		if to == one && wins != 1 {
			t.Fatalf("a transaction saved the checkpoint %+v as it was, and then %d of two others that waited moved it, want 1", one, wins)
		}
	}
}

// updateContention counts in two documents at once while a reader looks at them. Only
// the checkpoint, which is saved first, keeps two transactions that read the same
// counts from both writing.
func updateContention(t *check) {
	const clients = 4
	documents := as[store.Documents](t, t.store)
	name, kind := newConsumer(), newKind()
	ids := []string{"a", "z"}
	steps := uint64(t.times(40))
	counted := func() ([]int, error) {
		docs, err := documents.ScanDocuments(t.ctx, kind, "", "", 0)
		counts := make([]int, len(ids))
		for i := range docs {
			counts[i%len(ids)] = len(docs[i].Data)
		}
		return counts, err
	}
	var over atomic.Bool
	var moves atomic.Uint64
	t.together(clients+1, func(i int) error {
		for i == clients && !over.Load() {
			counts, err := counted()
			if err != nil || counts[0] != counts[1] {
				return fmt.Errorf("transactions write two documents of equal length, but they are %d bytes long, %s", counts, answer(err))
			}
			runtime.Gosched()
		}
		for i < clients {
			done, err := t.count(name, steps, kind, ids)
			if !done && err == nil {
				moves.Add(1)
			}
			if done || err != nil && !errors.Is(err, store.ErrConflict) {
				over.Store(true)
				return err
			}
		}
		return nil
	})
	if n := moves.Load(); n != steps {
		t.Fatalf("%d transactions moved a checkpoint by one each, but it has moved by %d", n, steps)
	}
	if counts, err := counted(); err != nil || counts[0] != int(steps) || counts[1] != int(steps) {
		t.Fatalf("%d transactions each added a letter to two documents, but those have %d, %s", steps, counts, answer(err))
	}
}

// count moves a checkpoint by one and adds a letter to each document, until the
// checkpoint has reached steps.
func (t *check) count(name string, steps uint64, kind string, ids []string) (done bool, err error) {
	err = t.tryUpdate(t.ctx, t.store, func(tx store.Tx) error {
		at, err := tx.LoadCheckpoint(name)
		if done = at.Position >= steps; err != nil || done {
			return err
		}
		if err := tx.SaveCheckpoint(name, at, store.Checkpoint{Position: at.Position + 1, EventID: "e"}); err != nil {
			return err
		}
		docs, err := tx.LoadDocuments(kind, ids)
		for i := range docs {
			docs[i].Data = append(docs[i].Data, 'x')
		}
		return errors.Join(err, tx.SaveDocuments(docs))
	})
	return done, err
}

func updateTenants(t *check) {
	a, b := newTenantsAs[whole](t, "store with everything that a transaction can write")
	w := newWritten("tenant")
	t.update(a, w.write)
	t.wantWritten(a, w, true, "in the tenant of the transaction")
	t.wantWritten(b, w, false, "in another tenant than the transaction's")
	t.wantWritten(t.store, w, false, "in the default tenant, which is not the transaction's")
	t.update(b, w.write)
	t.wantWritten(b, w, true, "in the tenant of the second transaction")
	t.wantWritten(a, w, true, "in the tenant of the first transaction")
}
