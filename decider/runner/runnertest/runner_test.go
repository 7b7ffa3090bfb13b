package runnertest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

type (
	command       = runnertest.Command
	state         = runnertest.State
	event         = runnertest.Event
	codecOfEvents = codec.Codec[event]
	account       = decider.Decider[command, state, event]
)

// system is a runner of ours as a System.
type system struct {
	runner *runner.Runner[command, state, event]
	handle func(context.Context, string, command, ...runner.Option) (runner.Outcome[state, event], error)
}

func (s system) Handle(ctx context.Context, c runnertest.Call) (runnertest.Outcome, error) {
	var opts []runner.Option
	if c.CommandID != "" {
		opts = append(opts, runner.CommandID(c.CommandID))
	}
	if c.Expected != nil {
		opts = append(opts, runner.ExpectVersion(*c.Expected))
	}
	if c.Attempts > 0 {
		opts = append(opts, runner.MaxAttempts(c.Attempts))
	}
	out, err := s.handle(ctx, c.ID, c.Command, opts...)
	return runnertest.Outcome{State: out.State, Version: out.Version, Events: out.Events, Replayed: out.Replayed}, err
}

func (s system) Load(ctx context.Context, id string) (state, uint64, error) {
	loaded, err := s.runner.Load(ctx, id)
	return loaded.State, loaded.Version, err
}

type configure func(r *runner.Runner[command, state, event], st store.Store) *runner.Runner[command, state, event]

func plain(r *runner.Runner[command, state, event], _ store.Store) *runner.Runner[command, state, event] {
	return r
}

func cached(r *runner.Runner[command, state, event], _ store.Store) *runner.Runner[command, state, event] {
	return r.WithCache(runner.Cache[state]{Clone: state.Clone})
}

func snapshots(r *runner.Runner[command, state, event], st store.Store) *runner.Runner[command, state, event] {
	return r.WithSnapshots(runner.Snapshots[state, event]{
		Store: st.(store.Snapshots), Schema: "1", Every: 1, //nolint:errcheck // Open says that it is one
	})
}

func both(r *runner.Runner[command, state, event], st store.Store) *runner.Runner[command, state, event] {
	return cached(snapshots(r, st), st)
}

func open(c configure) runnertest.Open {
	return func(d account, st store.Store, codec codec.Codec[event]) runnertest.System {
		r := c(runner.New(runnertest.StreamType, d, st, codec), st)
		return system{r, r.Handle}
	}
}

// group is a Group of ours as a System.
type group struct {
	system
	close func()
}

// Close closes the group.
func (g group) Close() error {
	g.close()
	return nil
}

func openGroup(c configure) runnertest.Open {
	return func(d account, st store.Store, codec codec.Codec[event]) runnertest.System {
		r := c(runner.New(runnertest.StreamType, d, st, codec), st)
		g := runner.NewGroup(r)
		return group{system{r, g.Handle}, g.Close}
	}
}

// transact is a System that decides by Transact.
func openTransact(d account, st store.Store, c codecOfEvents) runnertest.System {
	r := runner.New(runnertest.StreamType, d, st, c)
	handle := func(
		ctx context.Context, id string, cmd command, opts ...runner.Option,
	) (runner.Outcome[state, event], error) {
		result, out, err := runner.Transact(ctx, r, id, func(s state) (int, []event, error) {
			events, err := d.Decide(cmd, s)
			return 1 + len(events), events, err
		}, opts...)
		if err == nil && !out.Replayed && result != 1+len(out.Events) {
			err = fmt.Errorf("the result is %d, want that of the decision, %d", result, 1+len(out.Events))
		}
		return out, err
	}
	return system{r, handle}
}

// mementos is a System whose caller begins with what it got the last time.
type mementos struct {
	system
	mu   sync.Mutex
	last map[string]runner.Loaded[state] // by aggregate; guarded by mu
}

func openMementos(d account, st store.Store, c codecOfEvents) runnertest.System {
	r := runner.New(runnertest.StreamType, d, st, c)
	m := &mementos{last: map[string]runner.Loaded[state]{}}
	m.system = system{r, func(
		ctx context.Context, id string, cmd command, opts ...runner.Option,
	) (runner.Outcome[state, event], error) {
		m.mu.Lock()
		last, ok := m.last[id]
		m.mu.Unlock()
		if ok {
			last.State = last.State.Clone()
			opts = append(opts, runner.LoadFrom(last))
		}
		out, err := r.Handle(ctx, id, cmd, opts...)
		if err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.last[id] = runner.Loaded[state]{State: out.State.Clone(), Version: out.Version}
		}
		return out, err
	}}
	return m
}

// smallPages is a store that returns one event at a time.
type smallPages struct {
	store.Store
	store.Snapshots
}

func (s smallPages) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	o.Limit = 1
	return s.Store.Read(ctx, stream, o)
}

func openSmallPages(d account, st store.Store, c codecOfEvents) runnertest.System {
	return open(both)(d, smallPages{st, st.(store.Snapshots)}, c) //nolint:errcheck // Open says that it is one
}

func TestRunner(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]runnertest.Open{
		"plain":                         open(plain),
		"cached":                        open(cached),
		"with snapshots":                open(snapshots),
		"cached with snapshots":         open(both),
		"in small pages":                openSmallPages,
		"by Transact":                   openTransact,
		"from mementos":                 openMementos,
		"in a group":                    openGroup(cached),
		"in a group, cached, snapshots": openGroup(both),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runnertest.Run(t, open)
		})
	}
}
