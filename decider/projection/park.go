package projection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// Parked is a key that is parked.
type Parked struct {
	Key string
	// Position is that of the event that failed.
	Position uint64
	// Cause is why it failed.
	Cause string
	// Since is when it failed first.
	Since time.Time
	// Attempts is how often it has failed.
	Attempts int
}

// parking is a key that is to be parked.
type parking struct {
	key string
	why parkedKey
	err error
}

// work is what a transaction does with some items.
type work[E any] struct {
	events []Event[E]
	from   int              // the index of the first of events in the batch
	at     []int            // the indices of events in the batch, if some between are parked; else nil
	parked []store.Document // events to park
	keys   []string         // of these, that must be parked already
	add    *parking         // a key to park
}

// index returns the index in the batch of the event with this index in w.
func (w *work[E]) index(i int) int {
	switch {
	case i < 0 || i >= len(w.events):
		return -1
	case w.at != nil:
		return w.at[i]
	}
	return w.from + i
}

// keyOf returns the key of e, that the user's function gives.
func (p *Projection[T, E]) keyOf(e Event[E]) (key string, err error) {
	if p.key == nil {
		return e.Recorded.Stream.String(), nil
	}
	err = guard("key", func() error { key = p.key(e); return nil })
	if err == nil {
		err = validateKey(key)
	}
	return key, err
}

func validateKey(key string) error {
	if key == "" || len(key) > MaxKey || strings.IndexByte(key, 0) >= 0 || !utf8.ValidString(key) {
		return Permanent(fmt.Errorf("its key %.300q must be 1 to %d bytes of valid UTF-8 without NUL", key, MaxKey))
	}
	return nil
}

// plan decides what becomes of each event of items: it is applied, or parked behind others
// of its key.
func (r *run[T, E]) plan(items []item) (work[E], error) {
	first, last := &items[0], &items[len(items)-1]
	w := work[E]{events: r.hand.events[first.from:last.to], from: first.from, add: r.parking}
	if r.p.live.parkedKeys() == 0 && r.parking == nil {
		if first.err != nil {
			return w, &applyError{-1, first.err}
		}
		return w, nil
	}
	w.events, w.at = nil, []int{}
	for i := range items {
		if err := r.planItem(&w, &items[i]); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (r *run[T, E]) planItem(w *work[E], it *item) error {
	if r.p.key == nil { // the event is one, whatever it became
		if r.isParked(it.recorded.Stream.String()) {
			w.park(r.p.kindEvents(), it.recorded.Stream.String(), it.recorded, 0, r.parking)
			return nil
		}
	}
	if it.err != nil {
		return &applyError{-1, it.err}
	}
	for i := it.from; i < it.to; i++ {
		if r.p.key != nil {
			key, err := r.keyAt(i)
			if err != nil {
				return &applyError{i, err}
			}
			if r.isParked(key) {
				w.park(r.p.kindEvents(), key, it.recorded, r.hand.events[i].Index, r.parking)
				continue
			}
		}
		w.events, w.at = append(w.events, r.hand.events[i]), append(w.at, i)
	}
	return nil
}

// keyAt returns the key of the event with this index in the batch.
func (r *run[T, E]) keyAt(index int) (string, error) {
	if len(r.hand.keys) == len(r.hand.events) {
		return r.hand.keys[index], nil
	}
	return r.p.keyOf(r.hand.events[index]) // it was not asked for when the batch was decoded
}

func (r *run[T, E]) isParked(key string) bool {
	return r.parking != nil && r.parking.key == key || r.p.live.isParked(key)
}

// park adds an event of a key that is parked.
func (w *work[E]) park(kind, key string, recorded *store.Recorded, index int, adding *parking) {
	w.parked = append(w.parked, store.Document{
		Kind: kind, ID: parkedID(key, recorded.Position, index), Data: []byte(recorded.ID),
	})
	if adding == nil || adding.key != key {
		w.keys = append(w.keys, key)
	}
}

// parkedID is the id of the document of a parked event: in the order of keys, and then of
// events.
func parkedID(key string, position uint64, index int) string {
	return fmt.Sprintf("%s\x01%020d%05d", key, position, index)
}

// parkedEvent returns what an id of parkedID is made of.
func parkedEvent(id string) (key string, position uint64, index int, ok bool) {
	const digits = 25
	at := len(id) - digits
	if at < 1 || id[at-1] != '\x01' {
		return "", 0, 0, false
	}
	position, err := strconv.ParseUint(id[at:at+20], 10, 64)
	if err != nil {
		return "", 0, 0, false
	}
	index, err = strconv.Atoi(id[at+20:])
	return id[:at-1], position, index, err == nil
}

// park writes the events that are parked. A key that was freed since it was looked at is
// errFreed.
func (r *run[T, E]) park(tx T, w work[E]) error {
	if len(w.keys) > 0 {
		docs, err := tx.LoadDocuments(r.p.kindKeys(), w.keys)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if d.Data == nil {
				return errFreed
			}
		}
	}
	docs := w.parked
	if w.add != nil {
		note, err := noteDocument(r.p.kindKeys(), w.add.key, w.add.why)
		if err != nil {
			return err
		}
		docs = append(docs, note)
	}
	if len(docs) == 0 {
		return nil
	}
	return tx.SaveDocuments(docs)
}

// parkedNow tells what was committed.
func (r *run[T, E]) parkedNow(w work[E]) {
	if w.add != nil {
		r.p.live.park(w.add.key)
	}
}

// mayPark makes the next transaction park the key of it, whose event with this index in
// the batch has failed, if it may.
func (r *run[T, E]) mayPark(it *item, index int, err error, since time.Time, attempts int) bool {
	p := r.p
	if p.parking == 0 || p.live.parkedKeys() >= p.parking {
		return false
	}
	if !isPermanent(err) && p.now().Sub(r.failing.since) < p.retry.For {
		return false
	}
	key := it.recorded.Stream.String()
	if p.key != nil {
		if index < 0 {
			index = it.from
		}
		if it.to-it.from != 1 && index == it.from || it.err != nil {
			return false // nobody knows its key
		}
		var keyErr error
		if key, keyErr = r.keyAt(index); keyErr != nil {
			return false
		}
	}
	why := parkedKey{Position: it.recorded.Position, Cause: err.Error(), Since: since, Attempts: attempts}
	r.parking = &parking{key: key, why: why, err: err}
	return true
}

// lookParked loads the parked keys again, that another process may have freed.
func (r *run[T, E]) lookParked(ctx context.Context, now time.Time) error {
	if r.p.live.parkedKeys() == 0 || now.Sub(r.looked) < saveEvery {
		return nil
	}
	r.looked = now
	return r.p.target.Update(ctx, func(tx T) error {
		parked, err := r.p.loadParkedKeys(tx)
		if err == nil {
			r.p.live.setParked(parked)
		}
		return err
	})
}

// Parked lists the keys that are parked, in their byte order.
func (p *Projection[T, E]) Parked(ctx context.Context) ([]Parked, error) {
	var all []Parked
	err := p.target.Update(ctx, func(tx T) error {
		all = nil
		return p.eachParkedKey(tx, func(key string, why parkedKey) {
			all = append(all, Parked{Key: key, Position: why.Position, Cause: why.Cause, Since: why.Since, Attempts: why.Attempts})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("projection %s: list parked keys: %w", p, err)
	}
	return all, nil
}

func (p *Projection[T, E]) eachParkedKey(tx T, do func(key string, why parkedKey)) error {
	for from := ""; ; {
		docs, err := tx.ScanDocuments(p.kindKeys(), from, "", 0)
		if err != nil {
			return err
		}
		for _, d := range docs {
			var why parkedKey
			if err := json.Unmarshal(d.Data, &why); err != nil {
				return fmt.Errorf("parked key %q: %w", d.ID, err)
			}
			do(d.ID, why)
		}
		if len(docs) < store.DefaultLimit {
			return nil
		}
		from = docs[len(docs)-1].ID + "\x01"
	}
}

func (p *Projection[T, E]) loadParkedKeys(tx T) (map[string]struct{}, error) {
	parked := make(map[string]struct{})
	err := p.eachParkedKey(tx, func(key string, _ parkedKey) { parked[key] = struct{}{} })
	return parked, err
}

// firstParked returns the first of keys that is parked, "" if none is.
func (p *Projection[T, E]) firstParked(tx T, keys []string) (string, error) {
	docs, err := tx.LoadDocuments(p.kindKeys(), keys)
	if err != nil {
		return "", err
	}
	for _, d := range docs {
		if d.Data != nil {
			return d.ID, nil
		}
	}
	return "", nil
}

// Unpark handles the parked events of key, in order, in transactions that others cannot
// get in the way of, and frees the key when none is left. Events of the key that are
// recorded meanwhile are parked behind them. It works in every process, whether Run does
// or not. If an event fails again, those before it are in the read model, it and the rest
// stay parked, and Unpark returns an *[EventError]. Unpark of a key that is not parked
// does nothing.
func (p *Projection[T, E]) Unpark(ctx context.Context, key string) error {
	if err := validateKey(key); err != nil {
		return fmt.Errorf("projection %s: unpark: %w", p, err)
	}
	for limit := pageSize; ; {
		free, n, err := p.unparkSome(ctx, key, limit)
		switch {
		case err == nil && free:
			p.live.unpark(key)
			p.notify(ctx, Notice{Kind: KeyFreed, Key: key})
			return nil
		case err == nil:
			limit = pageSize
		case errors.Is(err, errBeaten) && ctx.Err() == nil:
			// The owner was faster.
		case n > 0 && limit > 1 && ctx.Err() == nil:
			limit = max(n/2, 1) // events before the one that fails
		default:
			return fmt.Errorf("projection %s: unpark %q: %w", p, key, err)
		}
	}
}

// unparkSome handles at most limit parked events of key. It returns whether the key is
// free, and if an event failed, how many events it tried.
func (p *Projection[T, E]) unparkSome(ctx context.Context, key string, limit int) (free bool, n int, err error) {
	var ids []string
	err = p.target.Update(ctx, func(tx T) (err error) {
		ids, err = p.parkedIDs(tx, key, limit)
		return err
	})
	if err != nil {
		return false, 0, err
	}
	events, err := p.readParked(ctx, ids)
	if err != nil {
		return false, 0, err
	}
	var failed error
	if p.effect && len(events) > 0 {
		var none T
		ids, events = ids[:1], events[:min(1, len(events))]
		_, failed = p.applier(ctx, &p.config, none, events)
	}
	if failed == nil {
		err = p.target.Update(ctx, func(tx T) (err error) {
			failed = nil
			free, failed, err = p.replay(ctx, tx, key, ids, events)
			return errors.Join(failed, err)
		})
	}
	if failed != nil && (limit == 1 || p.effect) && len(events) > 0 && ctx.Err() == nil {
		failed = eventError(p.build(), events[0].Recorded, failed)
		return false, 0, errors.Join(failed, p.failedAgain(ctx, key, events[0].Recorded.Position, failed))
	}
	return free && err == nil, len(events), err
}

// replay is the transaction of unparkSome: the checkpoint is held, so that the owner parks
// no event of the key meanwhile.
func (p *Projection[T, E]) replay(
	ctx context.Context, tx T, key string, ids []string, events []Event[E],
) (free bool, failed, err error) {
	at, err := tx.LoadCheckpoint(p.build())
	if err != nil {
		return false, nil, err
	}
	if err := tx.SaveCheckpoint(p.build(), at, at); err != nil {
		return false, nil, beaten(err)
	}
	docs, err := tx.LoadDocuments(p.kindEvents(), ids)
	if err != nil {
		return false, nil, err
	}
	for i := range docs {
		if docs[i].Data == nil {
			return false, nil, errBeaten // another one unparks it
		}
		docs[i].Data = nil
	}
	if len(events) > 0 && !p.effect {
		if _, err := p.applier(ctx, &p.config, tx, events); err != nil {
			return false, err, nil
		}
	}
	if err := tx.SaveDocuments(docs); err != nil {
		return false, nil, err
	}
	left, err := p.parkedIDs(tx, key, 1)
	if err != nil || len(left) > 0 {
		return false, nil, err
	}
	return true, nil, tx.SaveDocuments([]store.Document{{Kind: p.kindKeys(), ID: key}})
}

// errBeaten: another one has moved the checkpoint, or the parked events.
var errBeaten = errors.New("projection: another one was faster")

// beaten returns the error of a SaveCheckpoint.
func beaten(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errBeaten
	}
	return err
}

// parkedIDs returns the ids of the first parked events of key.
func (p *Projection[T, E]) parkedIDs(tx T, key string, limit int) ([]string, error) {
	var ids []string
	for from := key + "\x01"; len(ids) < limit; {
		docs, err := tx.ScanDocuments(p.kindEvents(), from, key+"\x02", limit)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			if of, _, _, ok := parkedEvent(d.ID); ok && of == key && len(ids) < limit {
				ids = append(ids, d.ID)
			}
		}
		if len(docs) < limit {
			break
		}
		from = docs[len(docs)-1].ID + "\x01"
	}
	return ids, nil
}

// readParked reads the events that were parked under ids, and decodes them.
func (p *Projection[T, E]) readParked(ctx context.Context, ids []string) ([]Event[E], error) {
	var b batch[E]
	for _, id := range ids {
		_, position, index, _ := parkedEvent(id)
		page, err := p.log.ReadAll(ctx, store.LogOptions{From: position, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(page.Events) == 0 || page.Events[0].Position != position {
			return nil, fmt.Errorf("the log has no event at position %d, which is parked: %w", position, store.ErrLogDiverged)
		}
		it := p.decode(&b, &page.Events[0], true)
		if it.err != nil {
			return nil, eventError(p.build(), &page.Events[0], it.err)
		}
		if p.key == nil {
			continue
		}
		keep := it.from
		for i := it.from; i < it.to; i++ {
			if b.events[i].Index == index {
				b.events[keep] = b.events[i]
				keep++
			}
		}
		b.events, b.keys = b.events[:keep], b.keys[:keep]
	}
	return b.events, nil
}

// failedAgain notes why key is still parked.
func (p *Projection[T, E]) failedAgain(ctx context.Context, key string, position uint64, cause error) error {
	return p.target.Update(ctx, func(tx T) error {
		var why parkedKey
		if found, err := loadNote(tx, p.kindKeys(), key, &why); err != nil || !found {
			return err
		}
		why.Position, why.Cause = position, cause.Error()
		why.Attempts++
		return saveNote(tx, p.kindKeys(), key, why)
	})
}

// parkedKeys returns how many keys are parked, as the owner knows.
func (s *status) parkedKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.parked)
}

func (s *status) isParked(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.parked[key]
	return ok
}

func (s *status) park(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parked == nil {
		s.parked = make(map[string]struct{})
	}
	s.parked[key] = struct{}{}
	s.is.Parked = len(s.parked)
	s.woken()
}

func (s *status) unpark(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parked, key)
	s.is.Parked = len(s.parked)
	s.woken()
}

// setParked says which keys are parked.
func (s *status) setParked(parked map[string]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = maps.Clone(parked)
	s.is.Parked = len(parked)
	s.woken()
}
