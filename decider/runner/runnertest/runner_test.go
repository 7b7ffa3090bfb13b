package runnertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

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

// system is one of our runners as a System.
type system struct {
	runner *runner.Runner[command, state, event]
	handle func(context.Context, string, command, ...runner.Option) (runner.Outcome[state, event], error)
	*hooks
}

// hooks hold the function that the user functions call first, and the claims.
type hooks struct {
	f      func(function string)
	claims func(id string, e event) []store.Claim
}

// Hook makes the user functions call f.
func (h *hooks) Hook(f func(function string)) { h.f = f }

// Claim makes the runner claim the keys that claims returns.
func (h *hooks) Claim(claims func(id string, e event) []store.Claim) { h.claims = claims }

func (h *hooks) call(function string) {
	if h.f != nil {
		h.f(function)
	}
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

type (
	accounts  = runner.Runner[command, state, event]
	configure func(r *accounts, st store.Store, h *hooks) *accounts
)

func plain(r *accounts, _ store.Store, _ *hooks) *accounts { return r }

func cached(r *accounts, _ store.Store, h *hooks) *accounts {
	return r.WithCache(runner.Cache[state]{Clone: func(s state) state {
		h.call("Clone")
		return s.Clone()
	}})
}

func snapshots(r *accounts, st store.Store, h *hooks) *accounts {
	return r.WithSnapshots(runner.Snapshots[state, event]{
		Store: st.(store.Snapshots), Schema: "1", //nolint:errcheck // Open guarantees it
		When: func(runner.Outcome[state, event]) bool {
			h.call("When")
			return true
		},
		Encode: func(s state) ([]byte, error) {
			h.call("Snapshots.Encode")
			return json.Marshal(s)
		},
		Decode: func(data []byte) (s state, err error) {
			h.call("Snapshots.Decode")
			return s, json.Unmarshal(data, &s)
		},
	})
}

func both(r *accounts, st store.Store, h *hooks) *accounts { return cached(snapshots(r, st, h), st, h) }

// everything returns a runner with all functions that a runner can have.
func everything(r *accounts, st store.Store, h *hooks) *accounts {
	return both(r, st, h).
		WithObserver(observer{h}).
		WithMetadata(func(context.Context) store.Metadata {
			h.call("Metadata")
			return store.Metadata{ActorID: "ann"}
		}).
		WithRetry(runner.Retry{
			Jitter: func(ceiling time.Duration) time.Duration {
				h.call("Jitter")
				return rand.N(ceiling) + 1
			},
			Transient: func(error) bool {
				h.call("Transient")
				return false
			},
		}).
		WithClock(func() time.Time {
			h.call("Clock")
			return time.Now()
		})
}

// observer is also notified when work begins.
type observer struct{ *hooks }

func (o observer) Begin(ctx context.Context, _ runner.Notice) context.Context {
	o.call("Begin")
	return ctx
}

func (o observer) Observe(_ context.Context, n runner.Notice) {
	if n.Kind != runner.ObserverFailed { // so that only one panics
		o.call("Observe")
	}
}

// claiming makes r claim the keys that h returns, if the store can.
func claiming(r *accounts, st store.Store, h *hooks) *accounts {
	if _, ok := st.(store.Claims); !ok {
		return r
	}
	return r.WithClaims(func(id string, _ state, e event, _ state) []store.Claim {
		if h.claims == nil {
			return nil
		}
		return h.claims(id, e)
	})
}

func open(c configure) runnertest.Open {
	return func(d account, st store.Store, codec codec.Codec[event]) runnertest.System {
		h := &hooks{}
		r := claiming(c(runner.New(runnertest.StreamType, d, st, codec), st, h), st, h)
		return system{r, r.Handle, h}
	}
}

// group is one of our Groups as a System.
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
		h := &hooks{}
		r := claiming(c(runner.New(runnertest.StreamType, d, st, codec), st, h), st, h)
		g := runner.NewGroup(r).WithContext(func([]context.Context) context.Context {
			h.call("Context")
			return context.Background() // a batch belongs to no client
		})
		return group{system{r, g.Handle, h}, g.Close}
	}
}

// transact is a System that decides through Transact.
func openTransact(d account, st store.Store, c codecOfEvents) runnertest.System {
	h := &hooks{}
	r := claiming(runner.New(runnertest.StreamType, d, st, c), st, h)
	handle := func(
		ctx context.Context, id string, cmd command, opts ...runner.Option,
	) (runner.Outcome[state, event], error) {
		result, out, err := runner.Transact(ctx, r, id, func(s state) (int, []event, error) {
			events, err := d.Decide(cmd, s)
			return 1 + len(events), events, err
		}, opts...)
		if err == nil && !out.Replayed && result != 1+len(out.Events) {
			err = fmt.Errorf("the result is %d, want %d, the result of the decision", result, 1+len(out.Events))
		}
		return out, err
	}
	return system{r, handle, h}
}

// mementos is a System whose caller begins with the result of its previous call.
type mementos struct {
	system
	mu   sync.Mutex
	last map[string]runner.Loaded[state] // by aggregate; guarded by mu
}

func openMementos(d account, st store.Store, c codecOfEvents) runnertest.System {
	h := &hooks{}
	r := claiming(runner.New(runnertest.StreamType, d, st, c), st, h)
	m := &mementos{last: map[string]runner.Loaded[state]{}}
	m.system = system{runner: r, hooks: h, handle: func(
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
	store.Claims
}

func (s smallPages) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	o.Limit = 1
	return s.Store.Read(ctx, stream, o)
}

func openSmallPages(d account, st store.Store, c codecOfEvents) runnertest.System {
	claims, _ := st.(store.Claims)
	return open(both)(d, smallPages{st, st.(store.Snapshots), claims}, c) //nolint:errcheck // Open guarantees it
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
		"with all functions":            open(everything),
		"in a group, all functions":     openGroup(everything),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runnertest.Run(t, open)
		})
	}
}
