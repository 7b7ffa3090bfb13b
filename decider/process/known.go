package process

import (
	"context"
	"maps"

	"github.com/evolvego/evolve/store"
)

// How much of what the target has is kept in memory: so many instances, and so many bytes
// of their states.
const (
	maxKnown     = 4096
	maxKnownSize = 4 << 20
)

// notes returns the notes of instances. Those that an earlier page has left need not be
// loaded: whoever else changes one moves the checkpoint, or takes a turn. It is errFenced
// if somebody has taken a turn; the commit tells about the checkpoint.
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

// remember keeps what has become of i, which is in the target.
func (o *owner[T, E, S, C]) remember(i *instance[S]) {
	o.forget(i.id)
	if i.is.Failing != nil {
		return // it is tried again, and others may change it
	}
	if len(o.known) >= maxKnown || o.knownSize >= maxKnownSize {
		clear(o.known)
		o.knownSize = 0
	}
	o.known[i.id] = i.is
	o.knownSize += len(i.is.State)
}

// forget has the note of an instance loaded when it is next needed.
func (o *owner[T, E, S, C]) forget(id string) {
	if n, ok := o.known[id]; ok {
		o.knownSize -= len(n.State)
		delete(o.known, id)
	}
}
