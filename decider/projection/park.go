package projection

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/store"
)

// parking is a key to park.
type parking struct {
	key string
	why parkedKey
	err error
}

// work is what a transaction does with some items.
type work[E any] struct {
	events []Event[E]
	from   int              // the index of the first of events in the batch
	at     []int            // the indices of events in the batch, if some in between are parked; otherwise nil
	parked []store.Document // events to park
	keys   []string         // of parked; they must be parked already
	add    *parking         // a key to park
}

// index returns the index in the batch of the event with index i in w.
func (w *work[E]) index(i int) int {
	switch {
	case i < 0 || i >= len(w.events):
		return -1
	case w.at != nil:
		return w.at[i]
	}
	return w.from + i
}

// keyOf returns the key that the user's function gives e.
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

// plan decides for each event of items whether to apply it, or to park it behind others
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
	if r.p.key == nil { // all its decoded events count as one
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
	return r.p.keyOf(r.hand.events[index]) // not computed when the batch was decoded
}

func (r *run[T, E]) isParked(key string) bool {
	return r.parking != nil && r.parking.key == key || r.p.live.isParked(key)
}

// park adds an event whose key is parked.
func (w *work[E]) park(kind, key string, recorded *store.Recorded, index int, adding *parking) {
	w.parked = append(w.parked, store.Document{
		Kind: kind, ID: parkedID(key, recorded.Position, index), Data: []byte(recorded.ID),
	})
	if adding == nil || adding.key != key {
		w.keys = append(w.keys, key)
	}
}

// parkedID returns the ID of the document of a parked event. IDs sort by key, and then by
// event.
func parkedID(key string, position uint64, index int) string {
	return fmt.Sprintf("%s\x01%020d%05d", key, position, index)
}

// parkedEvent returns the parts of an ID made by parkedID.
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

// park writes the events that are parked. It returns errFreed if a key was freed after it
// was loaded.
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

// parkedNow notifies the observer of the events that were parked.
func (r *run[T, E]) parkedNow(w work[E]) {
	if w.add != nil {
		r.p.live.park(w.add.key)
	}
}

// mayPark makes the next transaction park the key of it if that is allowed, because its
// event with this index in the batch has failed. It reports whether it did.
func (r *run[T, E]) mayPark(it *item, index int, err error, since time.Time, attempts int) bool {
	p := r.p
	if p.parking == 0 || p.live.parkedKeys() >= p.parking {
		return false
	}
	if !isPermanent(err) && (r.failing.times < leastTimes || p.now().Sub(r.failing.since) < p.retry.For) {
		return false
	}
	key := it.recorded.Stream.String()
	if p.key != nil {
		if index < 0 {
			index = it.from
		}
		if it.to-it.from != 1 && index == it.from || it.err != nil {
			return false // its key is not known
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

// lookParked loads the parked keys again, because another process may have freed some.
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
