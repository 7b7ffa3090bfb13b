package projection

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
)

// Deliver returns a projection that calls deliver for each event of source in log: to
// send a mail, to publish to a queue, to call another service. The call is not part of a
// transaction, so each event is delivered at least once: after a crash, or while two
// instances overlap, it may be delivered again. The receiver can recognize it by the ID
// of the recorded event. Events of one key are delivered in order.
//
// A build begins at the end of the log as of its first run, so a new version does not
// deliver history again. If deliver fails, the events before it are not delivered again
// because of that. See [New] for what happens then, and [Projection.WithParking] for how
// to continue with other keys.
//
// target stores the checkpoint. Deliver panics when [New] does.
func Deliver[T Tx, E any](
	log store.Log, target Target[T], name string, source codec.Source[E],
	deliver func(ctx context.Context, e Event[E]) error,
) *Projection[T, E] {
	if deliver == nil {
		panic(fmt.Sprintf("projection %q: deliver is nil", name))
	}
	p := newProjection(log, target, name, source, one("deliver", func(ctx context.Context, _ T, e Event[E]) error {
		return deliver(ctx, e)
	}))
	p.effect = true
	return p
}

// deliver calls the user's function for the events of the items that are not parked. It
// returns the items that were delivered, at least the first one. It stops early at an
// event that fails, or when it has taken as long as a transaction may.
func (r *run[T, E]) deliver(ctx context.Context, items []item, w work[E]) ([]item, error) {
	var none T
	began := r.p.now()
	for i := range w.events {
		_, err := r.p.applier(ctx, &r.p.config, none, w.events[i:i+1])
		position := w.events[i].Recorded.Position
		if err != nil {
			if position == items[0].recorded.Position {
				return nil, &applyError{w.index(i), err}
			}
			r.alone = position // it is tried alone
			return upTo(items, position-1), nil
		}
		last := i+1 == len(w.events) || w.events[i+1].Recorded.Position != position
		if last && (r.p.now().Sub(began) > r.p.atMost || ctx.Err() != nil) {
			return upTo(items, position), nil //nolint:nilerr // the checkpoint must record what was delivered
		}
	}
	return items, nil
}

// upTo returns the items up to and including position.
func upTo[I ~[]item](items I, position uint64) I {
	for i := range items {
		if items[i].recorded.Position > position {
			return items[:i]
		}
	}
	return items
}

// Partition returns a copy of p that handles only the keys of part i of n, so that n
// projections, in any number of processes, share the work. Each part has its own
// checkpoint, lease and parked keys. Each part calls setup once, so setup must expect
// that another part has already run it. The part of a key is its FNV-1a hash modulo n. A
// version keeps its n: for another n, use a new version. The documents of a key belong to
// its part: [Load] reads them from that part only. Partition panics unless 0 <= i < n.
func (p *Projection[T, E]) Partition(i, n int) *Projection[T, E] {
	if i < 0 || i >= n {
		panic(fmt.Sprintf("projection %s: part %d of %d: must be at least 0 and below %[3]d", p, i, n))
	}
	return p.with(func(p *Projection[T, E]) {
		p.partition = fmt.Sprintf("/%d of %d", i, n)
		p.part = func(key string) bool {
			h := fnv.New64a()
			_, _ = h.Write([]byte(key))             // never fails
			return h.Sum64()%uint64(n) == uint64(i) //nolint:gosec // not negative
		}
	})
}
