package projection_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// race is a scenario of owners that run the same projection at once, over a wrapped
// target. Each owner ends when it has handled the whole log.
type race struct {
	owners, events int
	wrap           func(faults.Updater[projection.Tx]) projection.Target[projection.Tx]
}

// anyTx is a memory store as a target of the interface Tx.
type anyTx struct{ st *memory.Store }

func (a anyTx) Update(ctx context.Context, do func(tx projection.Tx) error) error {
	return a.st.Update(ctx, func(tx *memory.Tx) error { return do(tx) })
}

// appendPosition records which events were applied to an account.
func appendPosition(_ context.Context, tx projection.Tx, e projection.Event[move]) error {
	docs, err := tx.LoadDocuments("list", []string{e.Event.Account})
	if err != nil {
		return err
	}
	docs[0].Data = fmt.Appendf(docs[0].Data, "%d ", e.Recorded.Position)
	return tx.SaveDocuments(docs)
}

func (r race) scene(t *testing.T) func(s *schedule.Sim) {
	t.Helper()
	return func(s *schedule.Sim) {
		st := memory.New()
		deposit(t, st, "a0", 1)
		start := projection.New(st, anyTx{st}, "race", moves(), appendPosition).WithoutLease()
		s.Then(func() { r.check(s, st) })
		prepareAll(t, start)
		for i := range r.events {
			deposit(t, st, fmt.Sprint("a", i%2), 1)
		}
		target := r.wrap(schedule.AddTarget(s, faults.Updater[projection.Tx](anyTx{st})))
		last := uint64(1 + r.events)
		for range r.owners {
			s.Client(func(ctx context.Context) {
				p := projection.New(st, target, "race", moves(), appendPosition).WithoutLease().WithBatch(2, time.Hour)
				running, stop := context.WithCancel(ctx)
				done := make(chan error, 1)
				go func() { done <- p.Run(running) }()
				if err := p.WaitHere(ctx, last); err != nil {
					s.Errorf("an owner has not reached the end: %v, %+v", err, p.Progress())
				}
				stop()
				if err := <-done; !errors.Is(err, context.Canceled) {
					s.Errorf("Run = %v", err)
				}
			})
		}
	}
}

// prepareAll runs p until it is ready, so that there is less to explore.
func prepareAll(t *testing.T, p *projection.Projection[projection.Tx, move]) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.WithObserver(observe(func(n projection.Notice) {
			if n.Kind == projection.BuildReady {
				close(ready)
			}
		})).Run(ctx)
	}()
	<-ready
	cancel()
	<-done
}

type observe func(n projection.Notice)

func (o observe) Observe(_ context.Context, n projection.Notice) { o(n) }

// check compares the read model with the log up to the checkpoint, which must be at the
// end of the log.
func (r race) check(s *schedule.Sim, st *memory.Store) {
	ctx := context.Background()
	at, err := st.LoadCheckpoint(ctx, "race@1")
	if err != nil || at.Position != uint64(1+r.events) {
		s.Errorf("the checkpoint is %+v, %v; want position %d", at, err, 1+r.events)
	}
	want := map[string]string{}
	page, err := st.ReadAll(ctx, store.LogOptions{})
	if err != nil {
		s.Errorf("read the log: %v", err)
	}
	for _, e := range page.Events {
		if e.Position <= at.Position {
			want[e.Stream.ID] += fmt.Sprintf("%d ", e.Position)
		}
	}
	docs, err := st.ScanDocuments(ctx, "list", "", "", 0)
	if err != nil || len(docs) != len(want) {
		s.Errorf("there are %d lists, %v; want %d", len(docs), err, len(want))
	}
	for _, d := range docs {
		if string(d.Data) != want[d.ID] {
			s.Errorf("%s has the events %s, want %s", d.ID, d.Data, want[d.ID])
		}
	}
}

func asIs(u faults.Updater[projection.Tx]) projection.Target[projection.Tx] { return u }

// TestSchedules tries every order of the transactions of two owners, with every fault at
// each of them, and of three owners without faults.
func TestSchedules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		race
		faults int
	}{
		"one owner, three faults":   {race{1, 4, asIs}, 3},
		"two owners, one fault":     {race{2, 3, asIs}, 1},
		"two owners, two faults":    {race{2, 2, asIs}, 2},
		"three owners, no fault":    {race{3, 2, asIs}, 0},
		"two owners, many events":   {race{2, 7, asIs}, 0},
		"one owner, one long batch": {race{1, 9, asIs}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := schedule.Limits{Faults: tt.faults}
			switch {
			case testing.Short():
				limits.Schedules = 300
			case os.Getenv("EVOLVE_SCHEDULES") != "all": // make test tries all of them without the race detector
				limits.Schedules = 10_000
			}
			n, err := schedule.Explore(t, limits, tt.scene(t))
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d schedules", n)
		})
	}
}

// TestSimulations runs more owners, events and faults at random.
func TestSimulations(t *testing.T) {
	t.Parallel()
	limits := schedule.Limits{Faults: 8, Schedules: 200}
	if testing.Short() {
		limits.Schedules = 30
	}
	if err := schedule.Simulate(t, limits, race{4, 30, asIs}.scene(t)); err != nil {
		t.Error(err)
	}
}

// unfenced is a target whose checkpoints anyone can move.
type unfenced struct{ faults.Updater[projection.Tx] }

func (u unfenced) Update(ctx context.Context, do func(tx projection.Tx) error) error {
	return u.Updater.Update(ctx, func(tx projection.Tx) error { return do(unfencedTx{tx}) })
}

type unfencedTx struct{ projection.Tx }

func (u unfencedTx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	err := u.Tx.SaveCheckpoint(name, from, to)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// again is a target that repeats a transaction whose outcome is unknown.
type again struct{ faults.Updater[projection.Tx] }

func (a again) Update(ctx context.Context, do func(tx projection.Tx) error) error {
	forced := func(tx projection.Tx) error { return do(unfencedTx{tx}) }
	err := a.Updater.Update(ctx, do)
	if errors.Is(err, faults.ErrInjected) {
		err = a.Updater.Update(ctx, forced)
	}
	return err
}

// TestSchedulesFind checks that the schedules find targets without a fence, and targets
// that repeat what they should not.
func TestSchedulesFind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		wrap   func(faults.Updater[projection.Tx]) projection.Target[projection.Tx]
		faults int
	}{
		"no fence": {func(u faults.Updater[projection.Tx]) projection.Target[projection.Tx] { return unfenced{u} }, 0},
		"retries":  {func(u faults.Updater[projection.Tx]) projection.Target[projection.Tx] { return again{u} }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n, err := schedule.Explore(t, schedule.Limits{Faults: tt.faults}, race{2, 2, tt.wrap}.scene(t)); err == nil {
				t.Errorf("%d schedules found nothing", n)
			}
		})
	}
}
