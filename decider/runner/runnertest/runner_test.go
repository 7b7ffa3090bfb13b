package runnertest_test

import (
	"context"
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

// Handle is System.Handle of the group. A group goes on with the states that it
// gives to callers, so one who changes them clones them first.
func (g group) Handle(ctx context.Context, c runnertest.Call) (runnertest.Outcome, error) {
	out, err := g.system.Handle(ctx, c)
	out.State = out.State.Clone()
	return out, err
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

func TestGroup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]configure{"plain": plain, "cached with snapshots": both} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runnertest.Run(t, openGroup(c))
		})
	}
}

func TestRunner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]configure{
		"plain": plain, "cached": cached, "with snapshots": snapshots, "cached with snapshots": both,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runnertest.Run(t, open(c))
		})
	}
}
