package runnertest_test

import (
	"context"
	"errors"
	"strings"

	"github.com/evolvego/evolve/store"
)

// bug names the bug of a reference. The zero bug is none.
type bug string

// passesOn returns the context that a call passes on to the store.
func (b bug) passesOn(ctx context.Context) (passed context.Context, end func()) {
	switch b {
	case "continues after the context has ended":
		return context.WithoutCancel(ctx), func() {}
	case "passes on only the deadline":
		at, _ := ctx.Deadline()
		return context.WithDeadline(context.WithoutCancel(ctx), at)
	case "passes on only a cancellation":
		passed, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, func() {
			if errors.Is(ctx.Err(), context.Canceled) {
				cancel()
			}
		})
		return passed, func() { stop(); cancel() }
	}
	return ctx, func() {}
}

// decidesBefore returns what a call appends after a conflict, when events would be right.
func (b bug) decidesBefore(c *call, events []event) []event {
	switch {
	case b == "appends the first event that it decided first":
		return c.last[:1]
	case b == "appends what it decided second" && c.attempt > 2:
		return c.last
	}
	return events
}

// caches returns what c, which has appended n events, caches.
func (b bug) caches(c *call, n uint64) loaded {
	at := c.next.cached
	switch {
	case b == "caches what it foresaw first":
		at.State = c.first.cached.State
	case b == "caches a command with an id at the version before it" && c.CommandID != "":
		at.Version -= n
	}
	return at
}

// overlooks reports whether the bug is not to recognize c, which is recorded.
func (r *reference) overlooks(c *call) bool {
	if !strings.HasPrefix(string(r.bug), "overlooks ") {
		return false
	}
	events, err := r.decider.Decide(c.Command, c.at.State)
	r.mu.Lock()
	defer r.mu.Unlock()
	own, after, again := r.landed[c.key] > 0, r.calls-r.landed[c.key], c.attempt == 2
	switch r.bug {
	case "overlooks its own command that would be rejected":
		return own && err != nil
	case "overlooks another's command that would be rejected":
		return !own && err != nil
	case "overlooks its own command that would decide less":
		return own && err == nil && len(events) > 0 && len(events) < len(c.mine)
	case "overlooks another's command that would decide less":
		return !own && err == nil && len(events) > 0 && len(events) < len(c.mine)
	case "overlooks its own command that would decide nothing":
		return own && err == nil && len(events) == 0
	case "overlooks another's command that would decide nothing":
		return !own && err == nil && len(events) == 0
	case "overlooks its own command that expects another version":
		return own && c.Expected != nil && *c.Expected != c.at.Version
	case "overlooks another's command that expects another version":
		return !own && c.Expected != nil && *c.Expected != c.at.Version
	case "overlooks its own command that another writer follows":
		return own && r.cache[c.ID].Version < c.at.Version
	case "overlooks its own command that is ten calls old":
		return own && after > 10
	case "overlooks its late events at the head of the stream":
		return again && c.mineAt == c.at.Version
	case "overlooks its late events if others follow":
		return again && c.mineAt < c.at.Version
	case "overlooks another's command that is five events old":
		return !own && c.at.Version-c.mineAt > 5
	}
	return false
}

// trustsSnapshot reports whether the bug is to use a snapshot beyond the stream.
func (b bug) trustsSnapshot(c *call) bool {
	return b == "trusts any snapshot" || b == "trusts any snapshot when it loads" && c.key == "load" ||
		b == "trusts any snapshot when it handles" && c.key != "load"
}

// trusts reports whether the bug is to use an old state for what is decided on it.
func (b bug) trusts(r *reference, c *call) (trusts bool) {
	if !strings.HasSuffix(string(b), " because of its cache") {
		return false
	}
	defer func() {
		if recover() != nil {
			trusts = b == "panics because of its cache"
		}
	}()
	events, err := r.decider.Decide(c.Command, c.at.State)
	_, unencodable := r.encode(c, events)
	unstorable := len(events) > 0 && len(events[0].What) > store.MaxName
	return b == "rejects because of its cache" && err != nil ||
		b == "does nothing because of its cache" && err == nil && len(events) == 0 ||
		b == "cannot encode because of its cache" && unencodable != nil ||
		b == "cannot store because of its cache" && unstorable
}
