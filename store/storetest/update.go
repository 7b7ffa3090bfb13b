package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/evolvego/evolve/store"
)

// update is the Update of a store whose transactions are a [store.Tx].
type update func(ctx context.Context, do func(tx store.Tx) error) error

// updateOf returns the method Update of st, whose type depends on the store; it returns
// false if st has no Update, or one for something other than a [store.Tx].
func updateOf(st store.Store) (update, bool) {
	method := reflect.ValueOf(st).MethodByName("Update")
	if !method.IsValid() {
		return nil, false
	}
	typ := method.Type()
	tx, ok := transactionOf(typ)
	if !ok || !tx.Implements(reflect.TypeFor[store.Tx]()) {
		return nil, false
	}
	return func(ctx context.Context, do func(tx store.Tx) error) error {
		own := reflect.MakeFunc(typ.In(1), func(args []reflect.Value) []reflect.Value {
			tx, _ := reflect.TypeAssert[store.Tx](args[0])
			err := do(tx)
			return []reflect.Value{reflect.ValueOf(&err).Elem()}
		})
		err, _ := reflect.TypeAssert[error](method.Call([]reflect.Value{reflect.ValueOf(ctx), own})[0])
		return err
	}, true
}

// transactionOf returns T if update is a func(context.Context, func(T) error) error.
func transactionOf(update reflect.Type) (tx reflect.Type, ok bool) {
	isError := func(f reflect.Type) bool { return f.NumOut() == 1 && f.Out(0) == reflect.TypeFor[error]() }
	if update.NumIn() != 2 || update.In(0) != reflect.TypeFor[context.Context]() || !isError(update) {
		return nil, false
	}
	do := update.In(1)
	if do.Kind() != reflect.Func || do.NumIn() != 1 || !isError(do) {
		return nil, false
	}
	return do.In(0), true
}

// differUpdate returns what the transactions of an Update lack of a [store.Tx]. It
// returns "" if nothing is missing, or st has no Update with transactions.
func differUpdate(st store.Store) string {
	method := reflect.ValueOf(st).MethodByName("Update")
	if !method.IsValid() || hasUpdate(st) {
		return ""
	}
	tx, ok := transactionOf(method.Type())
	if !ok {
		return ""
	}
	var lacking []string
	want := reflect.TypeFor[store.Tx]()
	for m := range want.Methods() {
		if _, ok := tx.MethodByName(m.Name); !ok {
			lacking = append(lacking, m.Name)
		}
	}
	return fmt.Sprintf("%T has an Update whose transactions, %s, are not a store.Tx; missing methods: %q", st, tx, lacking)
}

func hasUpdate(st store.Store) bool {
	_, ok := updateOf(st)
	return ok
}

// whole is a store with everything that a transaction can write.
type whole interface {
	store.Store
	store.Log
	store.Snapshots
	store.Checkpoints
	store.Claims
	store.Documents
}

// update runs a transaction. It fails the clause if do or the commit returns an error.
func (t *check) update(st store.Store, do func(tx store.Tx) error) {
	t.Helper()
	if err := t.tryUpdate(t.ctx, st, do); err != nil {
		t.Fatalf("Update failed: %v", err)
	}
}

func (t *check) tryUpdate(ctx context.Context, st store.Store, do func(tx store.Tx) error) error {
	t.Helper()
	update, ok := updateOf(st)
	if !ok {
		return fmt.Errorf("%T has no Update, but the store that was opened first has one", st)
	}
	return update(ctx, do)
}

func updateClauses() []clause {
	return []clause{
		{"its writes are committed together", updateCommits},
		{"an error rolls back, and is returned unchanged", updateFails},
		{"a panic rolls back, and reaches the caller unchanged", updatePanics},
		{"its function is not called with an ended context", updateEnded},
		{"a context that ends during it commits everything or nothing", updateEndsMeanwhile},
		{"its transaction is unusable after it returns", updateTxIsDone},
		{"a write to the store in its function does not wait for it", updateBesideItself},
		{"nobody sees its writes before the commit", updateIsUnseen},
		{"it sees its own writes", updateSeesItself},
		{"it reads streams including its own appends", updateReads},
		{"a refused call changes nothing, and the transaction can continue", updateGoesOn},
		{"a repeated append in it is replayed", updateReplays},
		{"its appends are in the log, in order, together with other appends", updateLog},
		{"a saved checkpoint makes others wait, and then they get a conflict", updateHolds},
		{"none of several concurrent transactions is lost", updateContention},
		{"a transaction of a tenant writes nothing of another tenant", updateTenants},
	}
}

// written describes what writeAll writes, and how to find it.
type written struct {
	a, b     store.Stream
	events   []store.Event // the events of a, and as the last one the event of b
	key      string
	consumer string
	document store.Document
	to       store.Checkpoint
}

func newWritten(what string) written {
	return written{
		a: newStream(what), b: newStream(what), events: newEvents(3), key: newKey(), consumer: newConsumer(),
		document: store.Document{Kind: "update", ID: store.NewID(), Data: []byte(what)},
		to:       store.Checkpoint{Position: 7, EventID: "seventh"},
	}
}

// write writes something of every kind.
func (w written) write(tx store.Tx) error {
	if _, err := tx.AppendClaiming(w.a, store.NoStream, w.events[:2], take(w.key)); err != nil {
		return err
	}
	if _, err := tx.Append(w.b, store.NoStream, w.events[2:]); err != nil {
		return err
	}
	return errors.Join(
		tx.SaveCheckpoint(w.consumer, store.Checkpoint{}, w.to),
		tx.SaveDocuments([]store.Document{w.document}),
		tx.SaveSnapshot(store.Snapshot{Stream: w.a, Schema: "v1", Version: 2, Data: []byte("state")}),
	)
}

// seen reports which parts of w are visible, by their kind.
func (w written) seen(ctx context.Context, st store.Store) (map[string]bool, error) {
	s, ok := st.(whole)
	if !ok {
		return nil, fmt.Errorf("%T has transactions, but lacks one of Log, Snapshots, Checkpoints, Claims and Documents", st)
	}
	a, errA := s.Read(ctx, w.a, store.ReadOptions{})
	b, errB := s.Read(ctx, w.b, store.ReadOptions{})
	holder, claimed, errH := s.Holder(ctx, w.key)
	checkpoint, errC := s.LoadCheckpoint(ctx, w.consumer)
	docs, errD := s.LoadDocuments(ctx, w.document.Kind, []string{w.document.ID})
	scan, errN := s.ScanDocuments(ctx, w.document.Kind, w.document.ID, w.document.ID+"\x01", 0)
	snap, hasSnap, errS := s.LoadSnapshot(ctx, w.a, "v1")
	if err := errors.Join(errA, errB, errH, errC, errD, errN, errS); err != nil {
		return nil, err
	}
	return map[string]bool{
		"the events of a stream":      differStream(a.Events, w.a, w.events[:2]) == "",
		"a part of them":              len(a.Events) > 0 || a.Head > 0,
		"the event of another stream": differStream(b.Events, w.b, w.events[2:]) == "",
		"a claim":                     claimed && holder == w.a,
		"a checkpoint":                checkpoint == w.to,
		"a document":                  len(docs) == 1 && string(docs[0].Data) == string(w.document.Data),
		"a document, in a scan":       len(scan) == 1 && string(scan[0].Data) == string(w.document.Data),
		"a snapshot":                  hasSnap && snap.Version == 2 && string(snap.Data) == "state",
	}, nil
}

// wantWritten fails unless all of w is visible, or nothing of it.
func (t *check) wantWritten(st store.Store, w written, all bool, when string) {
	t.Helper()
	seen, err := w.seen(t.ctx, st)
	if err != nil {
		t.Fatalf("looking %s: %v", when, err)
	}
	for what, is := range seen {
		if is != all {
			t.Fatalf("%s, %s is visible: %t; want %t, and the same for everything that the transaction wrote", when, what, is, all)
		}
	}
}

// wantWrittenOrNot fails unless all of w is visible or, if must is false, nothing. It
// waits for a while, because a call with an unknown outcome may take effect later.
func (t *check) wantWrittenOrNot(st store.Store, w written, must bool, when string) {
	t.Helper()
	const looks = 100
	for look := 1; ; look++ {
		seen, err := w.seen(t.ctx, st)
		if err != nil {
			t.Fatalf("looking %s: %v", when, err)
		}
		there := 0
		for _, is := range seen {
			if is {
				there++
			}
		}
		if there == len(seen) || there == 0 && !must {
			return
		}
		if look == looks {
			t.Fatalf("%s, only a part of what the transaction wrote is visible: %v", when, seen)
		}
	}
}

func updateCommits(t *check) {
	w := newWritten("committed")
	calls := 0
	t.update(t.store, func(tx store.Tx) error {
		calls++
		return w.write(tx)
	})
	if calls != 1 {
		t.Fatalf("Update called its function %d times, want once", calls)
	}
	t.wantWritten(t.store, w, true, "after Update")
}

func updateFails(t *check) {
	w := newWritten("failed")
	mine := errors.New("an error of the caller")
	err := t.tryUpdate(t.ctx, t.store, func(tx store.Tx) error {
		if err := w.write(tx); err != nil {
			return err
		}
		return mine
	})
	if err != mine { //nolint:errorlint // as it is: not wrapped
		t.Fatalf("Update whose function returned an error = %s, want that error unchanged", answer(err))
	}
	t.wantWritten(t.store, w, false, "after an Update that failed")
	t.update(t.store, w.write)
	t.wantWritten(t.store, w, true, "after an Update that failed, and the same Update without an error")
}

func updatePanics(t *check) {
	w := newWritten("panic")
	mine := errors.New("a panic of the caller")
	var writing, err error
	func() {
		defer func() {
			if got := recover(); got != any(mine) {
				t.Fatalf("Update whose function panicked with an error panics with %v and returns %v, want a panic with that error unchanged", got, err)
			}
		}()
		err = t.tryUpdate(t.ctx, t.store, func(tx store.Tx) error {
			writing = w.write(tx)
			panic(mine)
		})
	}()
	if writing != nil {
		t.Fatalf("writing failed: %v", writing)
	}
	t.wantWritten(t.store, w, false, "after an Update that panicked")
	t.update(t.store, w.write)
	t.wantWritten(t.store, w, true, "after an Update that panicked, and the same Update without a panic")
}

func updateEnded(t *check) {
	for cause, ctx := range t.ended() {
		called := false
		err := t.tryUpdate(ctx, t.store, func(store.Tx) error {
			called = true
			return nil
		})
		if !errors.Is(err, cause) || called {
			t.Fatalf("Update with an ended context =  %s, and it called its function: %t; want %v and false", answer(err), called, cause)
		}
	}
}

func updateEndsMeanwhile(t *check) {
	for range t.times(10) {
		w := newWritten("ends")
		ctx, cancel := context.WithCancel(t.ctx)
		err := t.tryUpdate(ctx, t.store, func(tx store.Tx) error {
			if err := w.write(tx); err != nil {
				return err
			}
			cancel()
			return nil
		})
		cancel()
		t.wantWrittenOrNot(t.store, w, err == nil, "after an Update whose context ended before the commit")
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Update whose context ended before the commit = %s, want success or %v", answer(err), context.Canceled)
		}
	}
}

func updateTxIsDone(t *check) {
	for _, failing := range []error{nil, errors.New("an error of the caller")} {
		var kept store.Tx
		err := t.tryUpdate(t.ctx, t.store, func(tx store.Tx) error {
			kept = tx
			return failing
		})
		if !errors.Is(err, failing) {
			t.Fatalf("Update whose function returns %v = %s, want the same", failing, answer(err))
		}
		w := newWritten("done")
		_, appending := kept.Append(w.a, store.NoStream, w.events)
		_, claiming := kept.AppendClaiming(w.a, store.NoStream, w.events, take(w.key))
		_, loading := kept.LoadDocuments("update", []string{w.document.ID})
		_, scanning := kept.ScanDocuments("update", "", "", 1)
		_, checking := kept.LoadCheckpoint(w.consumer)
		for name, err := range map[string]error{
			"Append": appending, "AppendClaiming": claiming, "LoadDocuments": loading, "ScanDocuments": scanning,
			"LoadCheckpoint": checking,
			"SaveCheckpoint": kept.SaveCheckpoint(w.consumer, store.Checkpoint{}, w.to),
			"SaveDocuments":  kept.SaveDocuments([]store.Document{w.document}),
			"SaveSnapshot":   kept.SaveSnapshot(store.Snapshot{Stream: w.a, Schema: "v1", Version: 2, Data: []byte("state")}),
		} {
			if !errors.Is(err, store.ErrTxDone) {
				t.Fatalf("%s of a transaction after its Update = %s, want ErrTxDone", name, answer(err))
			}
		}
		t.wantWritten(t.store, w, false, "after calls of a transaction after its Update")
	}
}

func updateIsUnseen(t *check) {
	w := newWritten("unseen")
	var seen map[string]bool
	t.update(t.store, func(tx store.Tx) error {
		err := w.write(tx)
		if err == nil {
			seen, err = w.seen(t.ctx, t.store)
		}
		return err
	})
	for what, is := range seen {
		if is {
			t.Fatalf("before an Update has returned, a reader outside of it sees %s", what)
		}
	}
	t.wantWritten(t.store, w, true, "after Update")
}
