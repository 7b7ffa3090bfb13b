package runnertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

func (r *reference) Load(ctx context.Context, id string) (state, uint64, error) {
	c := &call{Call: runnertest.Call{ID: id}, key: "load"}
	if err := r.load(ctx, c); err != nil {
		return state{}, 0, err
	}
	if r.bug == "returns its cached state when it loads" {
		r.mu.Lock()
		defer r.mu.Unlock()
		if at, ok := r.cache[id]; ok {
			return at.State, at.Version, nil
		}
	}
	return r.copied(c.at.State), c.at.Version, nil
}

// start is what a stream begins with.
func (r *reference) start() loaded {
	if r.bug == "ignores the initial state" {
		return loaded{}
	}
	return loaded{State: r.decider.Start()}
}

// load begins with the cached or saved state. For a command with its own id it reads the
// whole stream, to see whether the command is recorded.
func (r *reference) load(ctx context.Context, c *call) error {
	c.at = r.start()
	if c.CommandID != "" && r.bug != "looks for its ids only after the snapshot" && r.bug != "rejects a command that it could not look up" {
		return r.read(ctx, c)
	}
	r.mu.Lock()
	at, ok := r.cache[c.ID]
	if later := r.later[c.ID]; len(later) > 0 {
		at = loaded{r.decider.Fold(at.State, later...), at.Version + uint64(len(later))}
		r.cache[c.ID] = at
		delete(r.later, c.ID)
	}
	r.mu.Unlock()
	if ok {
		c.at = loaded{r.copied(at.State), at.Version}
		if r.bug == "trusts its cache" || r.bug.trusts(r, c) {
			return nil
		}
		return r.read(ctx, c)
	}
	if saver, isSaver := r.store.(store.Snapshots); isSaver && r.snapshots {
		snap, ok, err := saver.LoadSnapshot(ctx, streamOf(c.ID), "1")
		if err == nil && ok {
			if err := r.restore(ctx, c, snap); err != nil {
				return err
			}
		}
	}
	if r.bug == "loads once for all, on the context of the first" || strings.HasPrefix(string(r.bug), "lets callers share what they load") {
		return r.loadShared(ctx, c)
	}
	return r.read(ctx, c)
}

// restore begins with a snapshot, if it belongs to the stream.
func (r *reference) restore(ctx context.Context, c *call, snap store.Snapshot) error {
	var at loaded
	if json.Unmarshal(snap.Data, &at) != nil {
		return nil //nolint:nilerr // an unreadable snapshot is ignored
	}
	page, err := r.store.Read(ctx, streamOf(c.ID), store.ReadOptions{From: snap.Version + 1, Limit: 1})
	if err == nil && (page.Head >= at.Version || r.bug.trustsSnapshot(c)) {
		c.at = at
	}
	return err
}

func (r *reference) loadShared(ctx context.Context, c *call) error {
	r.mu.Lock()
	loading, joins := r.shared[c.ID]
	if !joins {
		loading = &sharedLoading{done: make(chan struct{})}
		r.shared[c.ID] = loading
	}
	r.mu.Unlock()
	if !joins {
		loading.err = r.read(ctx, c)
		loading.at = c.at
		close(loading.done)
		r.mu.Lock()
		delete(r.shared, c.ID)
		r.mu.Unlock()
	}
	select {
	case <-loading.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.at, c.shared = loading.at, true
	if r.bug == "loads once for all, on the context of the first" {
		c.at.State = c.at.State.Clone()
	}
	return loading.err
}

// read folds the events after c.at and looks for the events of c among them.
func (r *reference) read(ctx context.Context, c *call) error {
	if r.bug == "reads without the context after a conflict" && c.attempt > 1 {
		ctx = context.WithoutCancel(ctx)
	}
	n, only := 0, uint64(0)
	if r.bug == "reads only one page" {
		page, err := r.store.Read(ctx, streamOf(c.ID), store.ReadOptions{From: c.at.Version + 1})
		if err != nil || len(page.Events) == 0 {
			return err
		}
		only = page.Events[len(page.Events)-1].Version
	}
	for e, err := range store.Events(ctx, r.store, streamOf(c.ID), c.at.Version+1) {
		if only > 0 && e.Version > only || err != nil && n > 0 && r.bug == "treats a failed page as the end" {
			return nil
		}
		if err != nil && (r.bug == "treats a failed read as the end" || r.bug == "treats a failed load as an empty stream" && c.key == "load") {
			return nil
		}
		if err != nil && r.bug == "reads again after a failure, which is no bug" && c.attempt == 0 {
			c.attempt = 1 // so that this happens once
			return r.read(ctx, c)
		}
		if n++; n > 3 && (r.bug == "reads no more than three events" || r.bug == "loads no more than three events" && c.key == "load") {
			return nil
		}
		if err != nil {
			return err
		}
		events, err := r.codec.Decode(nil, []store.Recorded{e})
		if err != nil {
			return err
		}
		c.at = loaded{r.decider.Fold(c.at.State, events...), e.Version}
		if e.ID == r.id(c, len(c.mine)) && !r.blind(c) {
			c.mine, c.mineAt = append(c.mine, events...), e.Version
		} else if r.bug == "overlooks its events if others follow" {
			c.mine = nil
		}
	}
	return nil
}

// blind reports whether c does not look for its own events.
func (r *reference) blind(c *call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bug == "leaves repeated commands to the store" && c.attempt == 0 ||
		r.bug == "remembers command ids in the process" && r.landed[c.key] == 0 && c.attempt == 0
}

// save saves a snapshot, if there is one. It is only a cache, so a failure does not
// matter.
func (r *reference) save(ctx context.Context, c *call) {
	if saver, ok := r.store.(store.Snapshots); ok && c.next.snapshot != nil {
		_ = saver.SaveSnapshot(ctx, store.Snapshot{
			Stream: streamOf(c.ID), Schema: "1", Version: c.at.Version, Data: c.next.snapshot,
		})
	}
}

func (r *reference) keepCached(id string, at loaded) {
	if !r.caches {
		return
	}
	at.State = r.copied(at.State)
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.Version >= r.cache[id].Version {
		r.cache[id] = at
	}
}

func (r *reference) newKey(c runnertest.Call) string {
	switch {
	case r.bug == "ignores the case of command ids" && c.CommandID != "":
		return strings.ToLower(c.CommandID)
	case r.bug == "cuts command ids" && len(c.CommandID) > 100:
		return c.CommandID[:100]
	case r.bug == "trims command ids" && c.CommandID != "":
		return strings.TrimSpace(c.CommandID)
	case c.CommandID != "":
		return c.CommandID
	case r.bug == "treats equal commands as one":
		return fmt.Sprintf("%+v", c.Command)
	}
	return fmt.Sprint(rand.Uint64(), rand.Uint64())
}

func (r *reference) id(c *call, index int) string {
	if r.bug == "leaves the stream out of the event ids" {
		return fmt.Sprintf("%s/%d", c.key, index)
	}
	if r.bug == "concatenates ids" {
		return fmt.Sprintf("%s%s%d", c.ID, c.key, index)
	}
	return fmt.Sprintf("%q/%q/%d", c.ID, c.key, index)
}

func streamOf(id string) store.Stream {
	return store.Stream{Type: runnertest.StreamType, ID: id}
}
