package runnertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// liar is the reference inside a system that reports, or does, one thing wrong.
type liar struct {
	runnertest.System
	*hooks

	bug   bug
	store store.Store
	codec codec.Codec[event]

	mu     sync.Mutex
	calls  int                // guarded by mu
	key    string             // the command id of the last call; guarded by mu
	at     uint64             // the version that the last call returned; guarded by mu
	last   state              // that was returned; guarded by mu
	loaded state              // by Load, to be changed; guarded by mu
	memo   map[string]loaded  // what Load has returned, by aggregate; guarded by mu
	done   []event            // of the previous call; guarded by mu
	left   bool               // a caller did not wait for the answer; guarded by mu
	erred  bool               // a command has failed since the last load; guarded by mu
	failed bool               // a load has failed; guarded by mu
	landed map[string]bool    // the command ids that this process recorded; guarded by mu
	gave   map[string][]event // what it returned, by command id; guarded by mu
}

var errBusy = errors.New("reference: busy")

func openLiar(b bug) runnertest.Open {
	return func(d account, st store.Store, c codec.Codec[event]) runnertest.System {
		l := &liar{bug: b, store: st, codec: c, hooks: &hooks{}, landed: map[string]bool{}, memo: map[string]loaded{}, gave: map[string][]event{}}
		switch b {
		case "repeats each append that fails":
			st = twice{st, st.(store.Snapshots), true} //nolint:errcheck // Open guarantees it
		case "repeats each append that succeeds":
			st = twice{st, st.(store.Snapshots), false} //nolint:errcheck // as above
		}
		l.System = openReference("", true, true)(d, st, c)
		return l
	}
}

// twice is a store that repeats its appends that fail, or those that succeed.
type twice struct {
	store.Store
	store.Snapshots

	failed bool
}

func (s twice) Append(ctx context.Context, name store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	appended, err := s.Store.Append(ctx, name, expected, events)
	switch {
	case ctx.Err() != nil || s.failed != (err != nil):
	case err != nil:
		return s.Store.Append(ctx, name, expected, events)
	default:
		_, _ = s.Store.Append(ctx, name, expected, events)
	}
	return appended, err
}

// append appends events to the aggregate unconditionally.
func (l *liar) append(ctx context.Context, id string, events ...event) {
	for _, e := range events {
		encoded, err := l.codec.Encode(e)
		if encoded.ID = store.NewID(); err == nil {
			_, _ = l.store.Append(context.WithoutCancel(ctx), streamOf(id), store.Any, []store.Event{encoded})
		}
	}
}

func (l *liar) Load(ctx context.Context, id string) (state, uint64, error) {
	s, version, err := l.System.Load(ctx, id)
	l.mu.Lock()
	failed, erred := l.failed, l.erred
	if l.bug == "changes what it has loaded" && err == nil {
		l.loaded = s
	}
	if was, ok := l.memo[id]; ok && l.bug == "loads what it loaded before" {
		s, version = was.State, was.Version
	}
	l.memo[id] = loaded{s, version}
	l.failed, l.erred = l.failed || err != nil, false
	l.mu.Unlock()
	switch {
	case l.bug == "cannot load":
		err = errBusy
	case l.bug == "cannot load after a failure" && failed, l.bug == "cannot load after an error" && erred:
		return state{}, 0, errBusy
	case l.bug == "hides the error of the store" && err != nil:
		err = errBusy
	}
	return s, version, err
}

// Close fails, if that is the bug.
func (l *liar) Close() error {
	if l.bug == "fails to close" {
		return errBusy
	}
	return nil
}

func (l *liar) Handle(ctx context.Context, c runnertest.Call) (runnertest.Outcome, error) {
	switch {
	case l.bug == "does the work although the context has ended" && ctx.Err() != nil:
		_, _ = l.System.Handle(context.WithoutCancel(ctx), c)
	case l.bug == "ignores command ids":
		c.CommandID = ""
	case l.bug == "tries once too often" && c.Attempts > 0:
		c.Attempts++
	}
	l.mu.Lock()
	l.calls++
	fails := l.bug == "fails now and then" && l.calls%2 == 0 || l.bug == "fails after an abandoned call" && l.left ||
		l.bug == "fails the third call" && l.calls == 3
	if l.bug == "changes what it has returned" && len(l.last.Tags) > 0 {
		l.last.Tags[0] = "changed"
	}
	if len(l.loaded.Tags) > 0 {
		l.loaded.Tags[0] = "changed"
	}
	l.mu.Unlock()
	if fails {
		return runnertest.Outcome{}, errBusy
	}
	began := ctx.Err() == nil
	out, err := l.System.Handle(ctx, c)
	if l.bug == "appends after the call has ended" && began && ctx.Err() != nil {
		mine := event{What: "deposited", Tag: c.Command.Tag}
		go l.append(ctx, c.ID, mine, mine)
	}
	l.mu.Lock()
	before, repeated := l.done, c.CommandID != "" && l.key == c.CommandID && l.at == out.Version
	l.last, l.done, l.key, l.at = out.State, slices.Clone(out.Events), c.CommandID, out.Version
	l.landed[c.CommandID] = l.landed[c.CommandID] || err == nil && !out.Replayed
	own := l.landed[c.CommandID]
	if gave, ok := l.gave[c.CommandID]; ok && l.bug == "remembers the events that it returned" && out.Replayed {
		out.Events = gave
	}
	if c.CommandID != "" {
		l.gave[c.CommandID] = out.Events
	}
	l.left, l.erred = l.left || ctx.Err() != nil, l.erred || err != nil
	l.mu.Unlock()
	if l.bug == "sends empty appends" && len(out.Events) == 0 {
		_, _ = l.store.Append(ctx, streamOf(c.ID), store.Any, nil)
	}
	if err != nil {
		return out, l.fail(ctx, c, err)
	}
	switch l.bug {
	case "returns another event for a command that is repeated at once":
		if repeated && c.Expected == nil {
			out.Events = []event{{What: "deposited"}}
		}
	case "appends what it replays":
		if out.Replayed {
			l.append(ctx, c.ID, out.Events...)
		}
	case "repeats everything later":
		l.append(ctx, c.ID, before...)
	case "appends twice what expects version 1", "appends twice what expects version 3":
		if c.Expected != nil && !out.Replayed && strings.HasSuffix(string(l.bug), fmt.Sprint(" ", *c.Expected)) {
			l.append(ctx, c.ID, out.Events...)
		}
	case "returns one page of its own replay", "returns one page of another's replay":
		if out.Replayed && own == (l.bug == "returns one page of its own replay") {
			if page, err := l.store.Read(ctx, streamOf(c.ID), store.ReadOptions{}); err == nil {
				out.Events = out.Events[:min(len(out.Events), len(page.Events))]
			}
		}
	}
	return l.lie(out)
}

// fail returns the error for a call that fails with err, and does what it should not.
func (l *liar) fail(ctx context.Context, c runnertest.Call, err error) error {
	mine := event{What: "deposited", Tag: c.Command.Tag}
	switch {
	case l.bug == "treats a rejection as a conflict" && errors.Is(err, runnertest.ErrRejected):
		return &store.ConflictError{Stream: streamOf(c.ID)}
	case l.bug == "appends after it has given up" && errors.Is(err, store.ErrConflict),
		l.bug == "appends in spite of a failure" && errors.Is(err, faults.ErrInjected),
		l.bug == "appends what it rejects" && errors.Is(err, runnertest.ErrRejected),
		l.bug == "appends when its context has ended" && ctx.Err() != nil:
		l.append(ctx, c.ID, mine)
	case l.bug == "hides the error of the store" && errors.Is(err, faults.ErrInjected):
		return errBusy
	case l.bug == "returns a cancellation for a failure" && !store.Definite(err) && ctx.Err() == nil && !errors.Is(err, runnertest.ErrRejected):
		return context.Canceled
	case l.bug == "rejects what it then does" && errors.Is(err, runnertest.ErrRejected):
		_, _ = l.System.Handle(ctx, c)
	case l.bug == "returns another error when the context ends" && ctx.Err() != nil:
		return errBusy
	case l.bug == "returns late when the context ends" && ctx.Err() != nil:
		time.Sleep(time.Millisecond)
	}
	return err
}

// lie returns the answer to a call that succeeds.
func (l *liar) lie(out runnertest.Outcome) (runnertest.Outcome, error) {
	switch {
	case l.bug == "returns the previous version":
		out.Version -= uint64(min(len(out.Events), 1))
	case l.bug == "returns the next version":
		out.Version++
	case l.bug == "returns another balance":
		out.State.Balance++
	case l.bug == "returns an account that is not open":
		out.State.Open = false
	case l.bug == "returns the next version without events" && len(out.Events) == 0:
		out.Version++
	case l.bug == "returns other events for a replay" && out.Replayed, l.bug == "returns other events for a new command" && !out.Replayed:
		out.Events = slices.Clone(out.Events)
		for i := range out.Events {
			out.Events[i].N++
		}
	case l.bug == "returns an event without events" && len(out.Events) == 0:
		out.Events = []event{{What: "deposited"}}
	case l.bug == "returns no events", l.bug == "returns no events for a replay, which is no bug" && out.Replayed:
		out.Events = nil
	case l.bug == "does not report a replay":
		out.Replayed = false
	case l.bug == "reports a replay for a new command":
		out.Replayed = true
	case l.bug == "hides a replay" && out.Replayed:
		out.Replayed, out.Events = false, nil
	case l.bug == "returns a conflict for events that it appended" && len(out.Events) > 0:
		return runnertest.Outcome{}, store.ErrConflict
	case l.bug == "returns an error for events that it appended" && len(out.Events) > 0:
		return runnertest.Outcome{}, errBusy
	}
	return out, nil
}
