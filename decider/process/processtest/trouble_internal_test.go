package processtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

var errTrouble = errors.New("processtest: trouble")

// trouble makes one call of a kind fail.
type trouble struct {
	kind string
	ctx  context.Context //nolint:containedctx // of the calls that a law makes itself
	left int             // how many calls to pass first
}

func (t *trouble) err(ctx context.Context, kind string) error {
	if ctx != t.ctx || kind != t.kind {
		return nil
	}
	if t.left--; t.left == -1 {
		return errTrouble
	}
	return nil
}

// troubledLog is a log with trouble.
type troubledLog struct {
	process.Store
	*trouble
}

// Append appends events, or fails.
func (l troubledLog) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if err := l.err(ctx, "append"); err != nil {
		return store.Appended{}, err
	}
	return l.Store.Append(ctx, s, expected, events)
}

// Read reads a stream, or fails.
func (l troubledLog) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := l.err(ctx, "read"); err != nil {
		return store.Page{}, err
	}
	return l.Store.Read(ctx, s, o)
}

// troubledTarget is a target with trouble.
type troubledTarget struct {
	projection.Target[*tx]
	*trouble
}

// Update calls the target's Update, or fails.
func (t troubledTarget) Update(ctx context.Context, do func(tx *tx) error) error {
	if err := t.err(ctx, "update"); err != nil {
		return err
	}
	return t.Target.Update(ctx, do)
}

// TestTrouble checks that each law says what it could not do itself: append an event, read
// a stream, look at an instance or change it.
func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, l := range laws[*tx]() {
		for _, kind := range []string{"append", "read", "update"} {
			t.Run(l.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				for call, failed := 0, true; failed && call < 12; call++ {
					synctest.Test(t, func(t *testing.T) {
						own := &trouble{kind: kind, ctx: t.Context(), left: call}
						err := l.check(t, setup, plant[*tx]{
							onLog:    func(st process.Store) process.Store { return troubledLog{st, own} },
							onTarget: func(target projection.Target[*tx]) projection.Target[*tx] { return troubledTarget{target, own} },
						})
						if failed = own.left < 0; failed && (err == nil || !strings.Contains(err.Error(), errTrouble.Error())) {
							t.Errorf("call %d fails, and the law says %v", call, err)
						}
					})
				}
			})
		}
	}
}

// TestSparse checks at how many of 25 places a run crashes, plus once at none.
func TestSparse(t *testing.T) {
	t.Parallel()
	for sparse, want := range map[bool]int{false: 26, true: 4} {
		runs := 0
		fresh := func() Setup[*tx] {
			s := setup(t)
			s.Sparse = sparse
			return s
		}
		err := everyCrash(newWorld(t.Context(), fresh, plant[*tx]{}), func(_ *world[*tx], c *crash) error {
			runs++
			for range 25 {
				_ = c.here()
			}
			return nil
		})
		if err != nil || runs != want {
			t.Errorf("sparse: %v: %d runs, want %d: %v", sparse, runs, want, err)
		}
	}
}
