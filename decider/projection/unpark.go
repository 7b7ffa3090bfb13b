package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// Unpark handles the parked events of key, in order, in transactions that other owners
// cannot disturb, and frees the key when none is left. Events of the key that are
// recorded meanwhile are parked behind them. It works in every process, whether Run runs
// or not. If an event fails again, the events before it are in the read model, it and the
// rest stay parked, and Unpark returns an *[EventError]. Unpark does nothing for a key
// that is not parked.
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
			// The owner moved the checkpoint first.
		case n > 0 && limit > 1 && ctx.Err() == nil:
			limit = max(n/2, 1) // the events before the one that fails
		default:
			return fmt.Errorf("projection %s: unpark %q: %w", p, key, err)
		}
	}
}

// unparkSome handles at most limit parked events of key. It returns whether the key is
// free, and, if an event failed, how many events it tried.
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

// replay is the transaction of unparkSome. It holds the checkpoint, so that the owner
// parks no event of the key meanwhile.
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
			return false, nil, errBeaten // another instance unparks it
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

// errBeaten means that another instance has moved the checkpoint, or the parked events.
var errBeaten = errors.New("projection: another instance was faster")

// beaten returns the error of a SaveCheckpoint.
func beaten(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errBeaten
	}
	return err
}

// parkedIDs returns the IDs of the first parked events of key.
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

// readParked reads and decodes the events that are parked under ids.
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

// failedAgain records why key is still parked.
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
