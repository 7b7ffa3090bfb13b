package runnertest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/history"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// plan says which client does what in a simulation.
type plan struct {
	Table   *table // the decider; nil: the account
	Given   []Command
	Clients []client
	Faults  int // at most
}

// client makes calls in a process, one after the other. If a call has a command id and
// its outcome is unknown, the client repeats it.
type client struct {
	Process int
	Calls   []Call
}

// handled is a call that was made.
type handled struct {
	Call
	first, last uint64 // versions of the stream at the beginning and the end of the call
	out         Outcome
	err         error
	asked       []history.Op // the calls of the store on its behalf, if that is known
	gaveUp      bool         // its context ended
	shared      bool         // the plan has more calls of the same command
}

// simulation lets the clients of a plan run on one store, which handles one call at a
// time.
type simulation struct {
	*trial
	plan
	sim *schedule.Sim
	ops *schedule.Store

	mu    sync.Mutex
	calls []handled // guarded by mu
}

// simulated is a store whose calls wait for their turn, except calls about snapshots.
type simulated struct {
	store.Store
	store.Snapshots
}

// scene returns the simulation of p, with the checks at its end.
func (p plan) scene(open Open) func(sim *schedule.Sim) {
	return func(sim *schedule.Sim) {
		s := &simulation{trial: newTrial(context.Background(), sim, open), plan: p, sim: sim}
		if p.Table != nil {
			s.decider = p.Table.decider()
		}
		s.ops = sim.Store(s.memory)
		s.others = s.ops
		var processes []System
		sim.Then(func() {
			defer s.close()
			s.wantHistory()
			for _, process := range processes {
				s.wantLoaded(process)
			}
			s.wantLoaded(s.opened(open(s.decider, simulated{s.ops, s.memory}, format{})))
		})
		s.given(acc, p.Given...)
		number := 0
		for _, clients := range lo.PartitionBy(p.Clients, func(c client) int { return c.Process }) {
			process := s.opened(open(s.decider, simulated{s.ops, s.memory}, format{}))
			processes = append(processes, process)
			var do []func(ctx context.Context)
			for _, c := range clients {
				i := number
				do = append(do, func(ctx context.Context) { s.run(ctx, i, process, c) })
				number++
			}
			sim.Client(do...)
		}
	}
}

// run makes the calls of client i.
func (s *simulation) run(ctx context.Context, i int, process System, client client) {
	for _, c := range client.Calls {
		for range 3 {
			err := s.handle(ctx, i, process, c)
			if err == nil || errors.Is(err, ErrRejected) || store.Definite(err) || c.CommandID == "" {
				break
			}
		}
	}
}

// handle makes a call of client i.
func (s *simulation) handle(ctx context.Context, i int, process System, c Call) error {
	patient, end := s.sim.Patience(ctx)
	defer end()
	before := len(s.ops.Ops())
	h := handled{Call: c, first: s.head(), shared: s.shared(c)}
	out, err := process.Handle(patient, c)
	h.out, h.err = out.copied(), err
	out.spoil()
	h.last, h.gaveUp = s.head(), patient.Err() != nil
	h.asked = slices.DeleteFunc(s.ops.Ops()[before:], func(op history.Op) bool { return op.Client != i })
	s.mu.Lock()
	s.calls = append(s.calls, h)
	s.mu.Unlock()
	s.sim.Sayf(ctx, "%s: %s", h.about(), h.result())
	return h.err
}

// shared reports whether c is planned more than once.
func (s *simulation) shared(c Call) bool {
	n := 0
	for _, client := range s.Clients {
		for _, other := range client.Calls {
			if other.Command.Tag == c.Command.Tag {
				n++
			}
		}
	}
	return n > 1
}

// planned returns the number of calls.
func (p plan) planned() (n int) {
	for _, client := range p.Clients {
		n += len(client.Calls)
	}
	return n
}

// head returns the version of the stream.
func (s *simulation) head() uint64 {
	page, err := s.memory.Read(s.ctx, streamOf(acc), store.ReadOptions{Limit: 1})
	if err != nil {
		s.Errorf("read the version of the stream: %v", err)
	}
	return page.Head
}
