package process

import (
	"context"
	"maps"

	"github.com/evolvego/evolve/store"
)

// Limits of what is cached of the target: a number of instances, and the bytes of their
// states.
const (
	maxKnown     = 4096
	maxKnownSize = 4 << 20
)

// notes returns the notes of instances. Notes that are cached need not be loaded, because
// whoever changes one moves the checkpoint or takes a turn. It returns errFenced if
// another owner has taken a turn. The commit detects a moved checkpoint.
func (o *owner[T, E, S, C]) notes(ctx context.Context, ids []string) (map[string]*note, error) {
	all := make(map[string]*note, len(ids))
	var missing []string
	for _, id := range ids {
		if n, ok := o.known[id]; ok {
			all[id] = n
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return all, o.lookForTurn(ctx)
	}
	err := o.r.view(ctx, func(tx store.DocumentTx, _ func(string) (store.Checkpoint, error)) error {
		var b buildNote
		if _, err := load(tx, o.r.build(), &b); err != nil {
			return err
		}
		if b.Turn != o.turn {
			return errFenced
		}
		loaded, err := loadNotes(tx, o.kinds.instances, missing)
		maps.Copy(all, loaded)
		return err
	})
	return all, err
}

// remember caches the new note of i, which the target has.
func (o *owner[T, E, S, C]) remember(i *instance[S]) {
	o.forget(i.id)
	if i.is.Failing != nil {
		return // it is retried, and others may change it
	}
	if len(o.known) >= maxKnown || o.knownSize >= maxKnownSize {
		clear(o.known)
		o.knownSize = 0
	}
	o.known[i.id] = i.is
	o.knownSize += len(i.is.State)
}

// forget drops the note of an instance from the cache.
func (o *owner[T, E, S, C]) forget(id string) {
	if n, ok := o.known[id]; ok {
		o.knownSize -= len(n.State)
		delete(o.known, id)
	}
}
