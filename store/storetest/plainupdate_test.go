package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// plainTx is a transaction of a plain store: a copy of the store that replaces it at
// the end.
type plainTx struct {
	of   *plain
	with *plain
	done bool
	gone bool // for a bug: a call was refused
}

var _ store.Tx = (*plainTx)(nil)

// turn is held by an Update, and shared by other writers.
type turn struct {
	sync.RWMutex

	by    atomic.Uint64 // the goroutine of the Update
	after []func()      // what it does at its end; for a bug
}

// joined takes the turn. Inside an Update, where it would wait for itself, joined
// refuses the write and calls write only if there is a bug.
func (t *turn) joined(ctx context.Context, p *plain, write func()) (done bool, err error) {
	if t.by.Load() != goroutine() {
		t.RLock()
		return false, nil
	}
	switch p.bug {
	case "a write in an update waits":
		<-ctx.Done()
		return true, ctx.Err()
	case "a write in an update is refused and kept":
		t.after = append(t.after, write)
	case "a write in an update fails untyped":
		return true, errors.New("busy")
	case "a write in an update succeeds and is lost":
		return true, nil
	}
	return true, fmt.Errorf("%w: a write in its own Update", store.ErrInvalid)
}

// goroutine returns the number of the calling goroutine.
func goroutine() (n uint64) {
	var text [32]byte
	_, _ = fmt.Sscanf(string(text[:runtime.Stack(text[:], false)]), "goroutine %d", &n)
	return n
}

// copied returns a copy of p. The copy and p share nothing that either of them changes.
func (p *plain) copied() *plain {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := *p
	q.backend, q.turn = &backend{bug: p.bug, wake: make(chan struct{}), refuses: p.refuses, loses: p.loses}, &turn{}
	q.log, q.streams = slices.Clone(p.log), maps.Clone(p.streams)
	for s := range q.streams {
		q.streams[s] = slices.Clip(q.streams[s])
	}
	q.ids, q.reserved, q.held, q.created = maps.Clone(p.ids), maps.Clone(p.reserved), maps.Clone(p.held), maps.Clone(p.created)
	q.snapshots, q.checkpoints = maps.Clone(p.snapshots), maps.Clone(p.checkpoints)
	q.holders, q.freed, q.docs = maps.Clone(p.holders), maps.Clone(p.freed), maps.Clone(p.docs)
	q.leases = maps.Clone(p.leases)
	return &q
}

// takes makes p equal to q, except for what a bug forgets.
func (p *plain) takes(q *plain, forgets string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if forgets != "events" {
		p.position, p.log = q.position, q.log
		replace(p.streams, q.streams)
		replace(p.created, q.created)
		if !p.is("ids of an update are lost") {
			replace(p.ids, q.ids)
		}
	}
	if forgets != "snapshots" {
		replace(p.snapshots, q.snapshots)
	}
	if forgets != "checkpoints" {
		replace(p.checkpoints, q.checkpoints)
	}
	if forgets != "claims" {
		replace(p.holders, q.holders)
		replace(p.freed, q.freed)
	}
	if forgets != "documents" {
		replace(p.docs, q.docs)
	}
	if !p.is("an update wakes nobody") {
		p.notify()
	}
}

// replace makes the content of to equal to from.
func replace[K comparable, V any](to, from map[K]V) {
	clear(to)
	maps.Copy(to, from)
}

// keepsOnly makes p equal to q in one kind of data, or in all, because of a bug.
func (p *plain) keepsOnly(q *plain, bug string) {
	for _, kind := range []string{"events", "snapshots", "checkpoints", "claims", "documents"} {
		if p.is(kind + bug) {
			p.mu.Lock()
			switch kind {
			case "events":
				p.position, p.log = q.position, slices.Clone(q.log)
				replace(p.streams, q.streams)
				replace(p.ids, q.ids)
			case "snapshots":
				replace(p.snapshots, q.snapshots)
			case "checkpoints":
				replace(p.checkpoints, q.checkpoints)
			case "claims":
				replace(p.holders, q.holders)
			case "documents":
				replace(p.docs, q.docs)
			}
			p.mu.Unlock()
		}
	}
}

func (p *plain) Update(ctx context.Context, do func(tx *plainTx) error) error {
	if p.is("updates run concurrently") {
		p.turn.RLock()
		defer p.turn.RUnlock()
	} else {
		p.turn.Lock()
		defer p.turn.Unlock()
		p.turn.by.Store(goroutine())
		defer func() {
			p.turn.by.Store(0)
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, write := range p.turn.after {
				write()
			}
			p.turn.after = nil
		}()
	}
	p.mu.Lock()
	err := p.ready(ctx)
	p.mu.Unlock()
	if err != nil && !p.is("an ended update calls its function") {
		return err
	}
	tx := &plainTx{of: p, with: p.copied()}
	defer func() {
		tx.done = true
		if !p.is("a panic commits") && !p.is("a panic becomes an error") {
			return
		}
		if got := recover(); got != nil {
			if p.is("a panic commits") {
				p.takes(tx.with, "")
				panic(got)
			}
			err = fmt.Errorf("panic: %v", got)
		}
	}()
	if p.is("an update calls its function twice") {
		_ = do(&plainTx{of: p, with: p.copied()})
	}
	if err := do(tx); err != nil {
		p.keepsOnly(tx.with, " of a failed update are kept")
		if p.is("an update wraps its error") {
			err = fmt.Errorf("rolled back: %w", err)
		}
		return err
	}
	if p.is("updates run concurrently") {
		p.mu.Lock()
		p.pause()
		p.mu.Unlock()
	}
	return p.commit(ctx, tx)
}

func (p *plain) commit(ctx context.Context, tx *plainTx) error {
	if ctx.Err() != nil {
		switch p.bug {
		case "an ended update is kept in part":
			p.takes(tx.with, "claims")
			return ctx.Err()
		case "an ended update returns success":
			return nil
		case "an ended update fails untyped":
			return errors.New("the transaction is gone")
		}
	}
	for _, kind := range []string{"events", "snapshots", "checkpoints", "claims", "documents"} {
		if p.is("an update loses " + kind) {
			p.takes(tx.with, kind)
			return nil
		}
	}
	switch p.bug {
	case "half an update is seen":
		p.halfSeen(tx.with)
	case "an update of any tenant writes to the default tenant":
		p.tenants[store.DefaultTenant].takes(tx.with, "")
	case "positions of an update are void":
		for _, stream := range tx.with.streams {
			for i, r := range stream {
				if r.Position > p.position {
					void := *r
					void.Position += 10
					stream[i] = &void
				}
			}
		}
	case "an update is not in the log":
		tx.with.log = p.log
	}
	p.takes(tx.with, "")
	return nil
}

// halfSeen lets others see a part of the data of q first, and then the rest.
func (p *plain) halfSeen(q *plain) {
	part := q.copied()
	if n := len(p.log); n+1 < len(part.log) {
		last := part.log[len(part.log)-1]
		part.log = part.log[:len(part.log)-1]
		part.streams[last.Stream] = part.streams[last.Stream][:last.Version-1]
	}
	for key := range part.docs {
		if _, ok := p.docs[key]; ok && key.id > "m" {
			part.docs[key] = p.docs[key]
		}
	}
	p.takes(part, "")
	p.mu.Lock()
	p.pause()
	p.mu.Unlock()
}

// ready returns the reason why a method of the transaction must fail, or nil.
func (tx *plainTx) ready(method string) error {
	if tx.done && !tx.of.is(method+" still works after the update") {
		return store.ErrTxDone
	}
	if tx.gone {
		return errors.New("the transaction is aborted")
	}
	if tx.of.inTx != nil {
		return tx.of.inTx()
	}
	return nil
}

// ends returns the error of a call, changed if a bug does so.
func (tx *plainTx) ends(method string, err error) error {
	if err != nil && tx.of.is("a refused "+method+" ends the transaction") {
		tx.gone = true
	}
	tx.of.keepsOnly(tx.with, " of an update are seen before")
	return err
}

func (tx *plainTx) Append(s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if err := tx.ready("Append"); err != nil {
		return store.Appended{}, err
	}
	return tx.append(s, expected, events, nil)
}

func (tx *plainTx) AppendClaiming(
	s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if err := tx.ready("AppendClaiming"); err != nil {
		return store.Appended{}, err
	}
	if err := tx.with.validateClaims(claims); err != nil {
		return store.Appended{}, err
	}
	return tx.append(s, expected, events, claims)
}

func (tx *plainTx) append(s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) (store.Appended, error) {
	q := tx.with
	// Whatever the transaction has appended. Without that bug, others may commit in the
	// meantime.
	unseen := tx.of.is("an update does not report a replay") && len(tx.of.streams[s]) != len(q.streams[s])
	if expected != 0 && len(events) > 0 && (tx.of.is("an update does not see its versions") && expected == store.NoStream) {
		expected = store.Any
	}
	holders := q.holders
	switch {
	case tx.of.is("an update does not see its claims"):
		q.holders = maps.Clone(tx.of.holders)
	case tx.of.is("an update does not see its ids"):
		q.ids = maps.Clone(tx.of.ids)
	case tx.of.is("events of a refused append in an update are kept") && expected == store.Exactly(1):
		_, err := q.append(context.Background(), s, expected, events, claims)
		_, _ = q.append(context.Background(), s, store.Any, events, nil)
		return store.Appended{}, err
	case tx.of.is("a refused append in an update is kept") && expected != 0 && len(events) > 1:
		if v, ok := expected.Version(); ok && v == 1 {
			expected = store.Any
			_, _ = q.append(context.Background(), s, expected, events, claims)
			return store.Appended{}, &store.ConflictError{Stream: s, Expected: store.Exactly(1), Actual: 2}
		}
	}
	got, err := q.append(context.Background(), s, expected, events, claims)
	if tx.of.is("an update does not see its claims") {
		maps.Copy(holders, q.holders)
		q.holders = holders
	}
	if tx.of.is("an update reports every append as a replay") && err == nil && len(events) == 2 {
		got.Replayed = true
	}
	if unseen {
		got.Replayed = false
	}
	if tx.of.is("a replay in an update returns a wrong version") && got.Replayed {
		got.Version++
	}
	if tx.of.is("an update does not replay") && got.Replayed {
		return store.Appended{}, &store.DuplicateError{Stream: s, EventID: events[0].ID, In: s, Version: 1}
	}
	if errors.Is(err, store.ErrConflict) && tx.of.is("a conflict in an update is untyped") ||
		errors.Is(err, store.ErrDuplicate) && tx.of.is("a duplicate in an update is untyped") {
		err = errLost
	}
	return got, tx.ends("append", err)
}

func (tx *plainTx) Read(s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := tx.ready("Read"); err != nil {
		return store.Page{}, err
	}
	if err := s.Validate(); err != nil && !tx.of.is("reads in an update are not validated") {
		return store.Page{}, err
	}
	if tx.of.is("an update does not read its own appends") {
		return tx.of.Read(context.Background(), s, o)
	}
	return tx.with.Read(context.Background(), s, o)
}

func (tx *plainTx) SaveSnapshot(snap store.Snapshot) error {
	if err := tx.ready("SaveSnapshot"); err != nil {
		return err
	}
	return tx.ends("snapshot", tx.with.SaveSnapshot(context.Background(), snap))
}

func (tx *plainTx) LoadCheckpoint(name string) (store.Checkpoint, error) {
	if err := tx.ready("LoadCheckpoint"); err != nil {
		return store.Checkpoint{}, err
	}
	if tx.of.is("an update does not see its checkpoints") {
		return tx.of.LoadCheckpoint(context.Background(), name)
	}
	return tx.with.LoadCheckpoint(context.Background(), name)
}

func (tx *plainTx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	if err := tx.ready("SaveCheckpoint"); err != nil {
		return err
	}
	if tx.of.is("an update saves a checkpoint without comparing") {
		from = tx.with.checkpoints[name]
	}
	return tx.ends("checkpoint", tx.with.SaveCheckpoint(context.Background(), name, from, to))
}

func (tx *plainTx) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	if err := tx.ready("LoadDocuments"); err != nil {
		return nil, err
	}
	if tx.of.is("an update does not see its documents") {
		return tx.of.LoadDocuments(context.Background(), kind, ids)
	}
	return tx.with.LoadDocuments(context.Background(), kind, ids)
}

func (tx *plainTx) ScanDocuments(kind, from, to string, limit int) ([]store.Document, error) {
	if err := tx.ready("ScanDocuments"); err != nil {
		return nil, err
	}
	if tx.of.is("an update does not scan its documents") {
		return tx.of.ScanDocuments(context.Background(), kind, from, to, limit)
	}
	return tx.with.ScanDocuments(context.Background(), kind, from, to, limit)
}

func (tx *plainTx) SaveDocuments(docs []store.Document) error {
	if err := tx.ready("SaveDocuments"); err != nil {
		if tx.of.is("a done transaction writes") {
			tx.of.saveDocuments(docs)
		}
		return err
	}
	err := tx.with.validateDocuments(docs)
	if err != nil && tx.of.is("refused documents are saved in part") && len(docs) < 10 {
		tx.with.saveDocuments(docs[:1])
	}
	if err == nil {
		tx.with.saveDocuments(docs)
	}
	return tx.ends("document", err)
}

// poor is a store whose transactions lack methods of a store.Tx.
type poor struct{ *plain }

type poorTx struct{ store.DocumentTx }

func (poor) Update(context.Context, func(tx *poorTx) error) error { return nil }

// TestPoorTransactions checks that the suite reports an Update whose transactions lack
// something, and does not treat it as no Update.
func TestPoorTransactions(t *testing.T) {
	t.Parallel()
	got := storetest.DifferUpdate(poor{newPlain("")})
	for _, want := range []string{"*storetest_test.poorTx", `"Append" "AppendClaiming" "LoadCheckpoint" "SaveCheckpoint" "SaveSnapshot"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the message is %q, which does not mention %s", got, want)
		}
	}
	if got := storetest.DifferUpdate(newPlain("")); got != "" {
		t.Errorf("the message for a correct store is: %s", got)
	}
}
