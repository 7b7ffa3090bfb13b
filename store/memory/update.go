package memory

import (
	"bytes"
	"context"
	"fmt"

	"github.com/evolvego/evolve/store"
)

var (
	_ store.Tx        = (*Tx)(nil)
	_ store.ReadTx    = (*Tx)(nil)
	_ store.Documents = (*Store)(nil)
)

// Update calls do with a transaction. If do returns nil, Update commits everything that
// do wrote with the methods of tx; nobody sees a part of it before. If do returns an
// error or panics, nothing is written, and the error or the panic reaches the caller
// unchanged. See [store.Tx].
//
// Transactions of a tenant take turns with each other and with saves of checkpoints.
// Update waits for its turn until ctx ends; if ctx ends first, it does not call do.
// Appends outside the transaction wait only from the first append of tx on. So keep do
// short. In do, do not call Update or SaveCheckpoint of the store, and append only with
// tx, because other writes would wait for do to end. If the goroutine that runs do
// makes such a call, directly or through a runner, the call fails at once with
// [ErrInUpdate]. Reading is allowed, but does not see what tx has written.
func (m *Store) Update(ctx context.Context, do func(tx *Tx) error) error {
	if err := m.takeTurn(ctx); err != nil {
		return err
	}
	t := &Tx{store: m}
	m.updating.Store(goroutine())
	defer t.end()
	if err := do(t); err != nil {
		return err
	}
	t.commit()
	return nil
}

// takeTurn waits until no other caller writes checkpoints or documents. The caller must
// call giveTurn afterwards.
func (m *Store) takeTurn(ctx context.Context) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	default:
	}
	if m.inUpdate() {
		return ErrInUpdate
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-m.backend.done:
		return store.ErrClosed
	}
}

func (m *Store) giveTurn() { <-m.turn }

// Tx is the transaction of an [Store.Update]. It holds all writes until the commit. It
// is not safe for concurrent use. After the Update, its methods return
// [store.ErrTxDone]. If a method returns an error, it has changed nothing, and the
// transaction can continue.
type Tx struct {
	store *Store
	done  bool
	held  chan struct{} // closed when others may append again; nil if they may

	events      []*store.Recorded
	streams     map[store.Stream][]*store.Recorded
	ids         map[string]*store.Recorded
	claims      map[string]store.Stream // by key; the zero Stream releases the key
	snapshots   []store.Snapshot
	checkpoints map[string]store.Checkpoint
	documents   changed
}

// end lets other writers continue.
func (t *Tx) end() {
	t.done = true
	t.store.updating.Store(0)
	if t.held != nil {
		t.store.streams.hold(nil)
		close(t.held)
	}
	t.store.giveTurn()
}

func (t *Tx) ready() error {
	if t.done {
		return store.ErrTxDone
	}
	return nil
}

// commit applies everything that was written. It cannot fail, because other writers
// have been kept from changing what it depends on.
func (t *Tx) commit() {
	m := t.store
	if len(t.events) > 0 {
		m.commitEvents(t)
	}
	for name, c := range t.checkpoints {
		m.checkpoints.save(name, c, func(store.Checkpoint) bool { return true })
	}
	for _, snap := range t.snapshots {
		m.keepSnapshot(snap)
	}
	if len(t.documents) > 0 {
		m.documents.mu.Lock()
		for kind, docs := range t.documents {
			for id, data := range docs {
				m.documents.save(kind, id, data)
			}
		}
		m.documents.mu.Unlock()
	}
	if len(t.events) > 0 {
		m.log.notify()
	}
}

// commitEvents records the events of t as record does, with the same locks in the same
// order, but it records all of them before anybody sees the first.
func (m *Store) commitEvents(t *Tx) {
	table := m.streams.lock()
	defer table.unlock()
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.claims.mu.Lock()
	defer m.claims.mu.Unlock()

	v := m.log.view()
	for _, r := range t.events {
		name := m.streams.hash(r.Stream)
		shard := table.of(name)
		st := shard.find(name, r.Stream)
		if st == nil {
			st = shard.add(name, r.Stream)
		}
		at := newTimes(r.RecordedAt)
		m.log.put(&v, st.put(shard, &r.Event, &at, v.head+1))
		m.log.ids.add(m.streams.hashID(r.ID), v.head, v, m)
	}
	for key, holder := range t.claims {
		m.claims.set(key, holder)
	}
	m.log.head.Store(v.head)
}

// Append is [store.AppendTx.Append].
func (t *Tx) Append(s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	return t.AppendClaiming(s, expected, events, nil)
}

// AppendClaiming is [store.AppendTx.AppendClaiming].
func (t *Tx) AppendClaiming(
	s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if err := store.ValidateClaims(claims); err != nil {
		return store.Appended{}, err
	}
	if err := store.ValidateAppend(s, expected, events); err != nil {
		return store.Appended{}, err
	}
	if err := t.ready(); err != nil {
		return store.Appended{}, err
	}
	if t.held == nil {
		t.held = make(chan struct{})
		t.store.streams.hold(t.held)
	}
	if taken := t.taken(events); taken != nil {
		return t.replay(s, events, taken)
	}
	version := t.version(s)
	if !expected.Matches(version) {
		return store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: version}
	}
	if err := t.claim(s, claims); err != nil {
		return store.Appended{}, err
	}
	return t.stage(s, events, version), nil
}

// Read is [store.ReadTx.Read]. No page is longer than 1,024 events.
func (t *Tx) Read(s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := s.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := o.Validate(); err != nil {
		return store.Page{}, err
	}
	if err := t.ready(); err != nil {
		return store.Page{}, err
	}
	head := t.version(s)
	var events []store.Recorded
	next, step := max(o.From, 1), 1
	if o.Backward {
		step = -1
		if next = o.From; next == 0 || next > head {
			next = head
		}
	}
	for ; next > 0 && next <= head && uint64(len(events)) < pageLimit(o.Limit); next += uint64(step) {
		events = append(events, *t.at(s, next))
	}
	own(events)
	return store.Page{Events: events, Head: head, Next: next, End: next == 0 || next > head}, nil
}

// stage keeps copies of events, which follow version of s.
func (t *Tx) stage(s store.Stream, events []store.Event, version uint64) store.Appended {
	if t.ids == nil {
		t.ids, t.streams = make(map[string]*store.Recorded), make(map[store.Stream][]*store.Recorded)
	}
	now := t.store.backend.now().UTC()
	position := t.store.log.head.Load() + uint64(len(t.events))
	staged := make([]store.Recorded, len(events))
	for i := range staged {
		staged[i] = store.Recorded{Event: events[i], Stream: s, RecordedAt: now}
	}
	own(staged)
	for i := range staged {
		version++
		position++
		r := &staged[i]
		r.Version, r.Position = version, position
		complete(r)
		t.events = append(t.events, r)
		t.streams[s] = append(t.streams[s], r)
		t.ids[r.ID] = r
	}
	return store.Appended{Version: version, Position: position}
}

// complete fills in the fields of r that are left to the store.
func complete(r *store.Recorded) {
	if len(r.Data) == 0 {
		r.Data = nil
	}
	if r.ContentType == "" {
		r.ContentType = store.OctetStream
	}
	if r.Time.IsZero() {
		r.Time = r.RecordedAt
	}
	r.Time = r.Time.UTC()
	if len(r.Meta.Headers) == 0 {
		r.Meta.Headers = nil
	}
}

// version returns the version of s in the transaction.
func (t *Tx) version(s store.Stream) uint64 {
	st, _ := t.store.streams.view(s)
	return st.version + uint64(len(t.streams[s]))
}

// at returns the event of s with version, or nil if there is none.
func (t *Tx) at(s store.Stream, version uint64) *store.Recorded {
	st, _ := t.store.streams.view(s)
	staged := t.streams[s]
	switch {
	case version <= st.version:
		return st.at(version).recorded()
	case version-st.version <= uint64(len(staged)):
		return staged[version-st.version-1]
	}
	return nil
}

// taken returns the recorded event that has the first already recorded id of events.
func (t *Tx) taken(events []store.Event) *store.Recorded {
	l := &t.store.log
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view()
	for i := range events {
		id := events[i].ID
		if r := t.ids[id]; r != nil {
			return r
		}
		if e, ok := l.ids.find(t.store.streams.hashID(id), id, v); ok {
			return e.recorded()
		}
	}
	return nil
}

// replay is the replay of the store, for events that this transaction may have
// appended.
func (t *Tx) replay(s store.Stream, events []store.Event, taken *store.Recorded) (store.Appended, error) {
	last := taken
	for i := range events {
		r := t.at(taken.Stream, taken.Version+uint64(i))
		if taken.Stream != s || r == nil || !r.Same(&events[i]) {
			return store.Appended{}, &store.DuplicateError{
				Stream: s, EventID: taken.ID, In: taken.Stream, Version: taken.Version,
			}
		}
		last = r
	}
	return store.Appended{Version: last.Version, Position: last.Position, Replayed: true}, nil
}

// claim makes all the claims of s, or none.
func (t *Tx) claim(s store.Stream, claims []store.Claim) error {
	for _, c := range claims {
		holder, ok := t.claims[c.Key]
		if !ok {
			holder = t.store.claims.holder(c.Key)
		}
		if holder != (store.Stream{}) && holder != s {
			return &store.ClaimedError{Stream: s, Key: c.Key, Holder: holder}
		}
	}
	for _, c := range claims {
		if t.claims == nil {
			t.claims = make(map[string]store.Stream)
		}
		t.claims[c.Key] = s
		if c.Release {
			t.claims[c.Key] = store.Stream{}
		}
	}
	return nil
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot] in the transaction.
func (t *Tx) SaveSnapshot(snap store.Snapshot) error {
	if err := snap.Validate(); err != nil {
		return err
	}
	if err := t.ready(); err != nil {
		return err
	}
	snap.Data = bytes.Clone(snap.Data)
	t.snapshots = append(t.snapshots, snap)
	return nil
}

// LoadCheckpoint is [store.CheckpointTx.LoadCheckpoint].
func (t *Tx) LoadCheckpoint(name string) (store.Checkpoint, error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	if err := t.ready(); err != nil {
		return store.Checkpoint{}, err
	}
	if c, ok := t.checkpoints[name]; ok {
		return c, nil
	}
	c, _ := t.store.checkpoints.load(name)
	return c, nil
}

// SaveCheckpoint is [store.CheckpointTx.SaveCheckpoint].
func (t *Tx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return err
	}
	was, err := t.LoadCheckpoint(name)
	if err != nil {
		return err
	}
	if was != from {
		return moved(name, was, from)
	}
	if t.checkpoints == nil {
		t.checkpoints = make(map[string]store.Checkpoint)
	}
	t.checkpoints[name] = to
	return nil
}

// moved returns the error for saving a checkpoint from from when the checkpoint is was.
func moved(name string, was, from store.Checkpoint) error {
	return fmt.Errorf("memory: checkpoint %q is at position %d (event %q), not %d (event %q): %w",
		name, was.Position, was.EventID, from.Position, from.EventID, store.ErrConflict)
}

// LoadDocuments is [store.DocumentTx.LoadDocuments].
func (t *Tx) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	if err := t.ready(); err != nil {
		return nil, err
	}
	return t.store.loadDocuments(kind, ids, t.documents), nil
}

// ScanDocuments is [store.DocumentTx.ScanDocuments].
func (t *Tx) ScanDocuments(kind, from, to string, limit int) ([]store.Document, error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil {
		return nil, err
	}
	if err := t.ready(); err != nil {
		return nil, err
	}
	return t.store.scanDocuments(kind, from, to, limit, t.documents), nil
}

// SaveDocuments is [store.DocumentTx.SaveDocuments].
func (t *Tx) SaveDocuments(docs []store.Document) error {
	if err := store.ValidateDocuments(docs); err != nil {
		return err
	}
	if err := t.ready(); err != nil {
		return err
	}
	if t.documents == nil {
		t.documents = make(changed)
	}
	for i := range docs {
		d := &docs[i]
		kind := t.documents[d.Kind]
		if kind == nil {
			kind = make(map[string][]byte)
			t.documents[d.Kind] = kind
		}
		kind[d.ID] = bytes.Clone(d.Data)
	}
	return nil
}
