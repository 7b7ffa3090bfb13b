package storetest_test

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// twisted is a tampered store with more bugs.
type twisted struct {
	*tampered

	shared map[uint64][]byte // data of events by position, for a bug; guarded by mu
	breaks atomic.Bool       // a subscription was ended by its loop; for a bug
}

func twist(p *tampered) *twisted { return &twisted{tampered: p, shared: make(map[uint64][]byte)} }

// opened returns p as the nth store that is opened. It lacks capabilities if there is
// such a bug.
func (p *twisted) opened(n int) store.Store {
	switch {
	case n > 1 && p.is("stores opened later have no log"):
		return struct{ store.Store }{p}
	case n > 1 && p.is("stores opened later have no transactions"):
		return struct {
			store.Store
			store.Log
		}{p, p}
	}
	return p
}

func (p *twisted) Tenant(id string) (store.Store, error) {
	st, err := p.tampered.Tenant(id)
	if of, ok := st.(*tampered); ok && err == nil {
		return twist(of), nil
	}
	return st, err
}

func (p *twisted) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if p.is("streams cannot be read") {
		return store.Page{}, errLost
	}
	page, err := p.tampered.Read(ctx, s, o)
	for i := range page.Events {
		if p.is("two events have one version") && !o.Backward && page.Head > 9 && page.Events[i].Version == 3 {
			page.Events[i].Version = 2
		}
	}
	return page, err
}

func (p *twisted) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if o.Backward && p.is("a backward page ignores the filter") {
		o.Filter = store.Filter{}
	}
	return p.tampered.ReadAll(ctx, o)
}

func (p *twisted) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		caughtUp := false
		p.tampered.Subscribe(ctx, o)(func(page store.Page, err error) bool {
			switch {
			case err != nil:
			case p.is("a subscription fails at once"):
				yield(store.Page{}, errLost)
				return false
			case p.is("a subscription with a filter has no past") && !caughtUp && (len(o.Filter.EventTypes) > 0 || len(o.Filter.StreamTypes) > 0 || o.Filter.IDPrefix != ""):
				page.Events = nil
			case p.is("subscriptions share data"):
				p.share(page.Events)
			case p.is("live events come with an invented one") && caughtUp && len(page.Events) == 1:
				invented := page.Events[0]
				invented.ID, invented.Position = store.NewID(), invented.Position-1
				page.Events = append([]store.Recorded{invented}, page.Events...)
			}
			caughtUp = caughtUp || page.End
			if p.is("after a break events are lost") && p.breaks.Load() && len(page.Events) > 0 {
				page.Events = page.Events[1:]
			}
			goesOn := yield(page, err)
			p.breaks.Store(p.breaks.Load() || !goesOn)
			return goesOn
		})
	}
}

// share gives events the data of the subscription that was faster.
func (p *twisted) share(events []store.Recorded) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		e := &events[i]
		if data, ok := p.shared[e.Position]; ok {
			e.Data = data
		}
		p.shared[e.Position] = e.Data
	}
}

func (p *twisted) ListStreams(ctx context.Context, o store.StreamsOptions) (store.StreamsPage, error) {
	page, err := p.tampered.ListStreams(ctx, o)
	for i := range page.Streams {
		if p.is("a list has the versions of another tenant") {
			page.Streams[i].Version = max(page.Streams[i].Version, p.elsewhere(page.Streams[i].Stream))
		}
	}
	return page, err
}

func (p *twisted) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	if p.is("holders cannot be loaded") {
		return store.Stream{}, false, errLost
	}
	return p.tampered.Holder(ctx, key)
}

func (p *twisted) LoadSnapshot(ctx context.Context, s store.Stream, schema string) (store.Snapshot, bool, error) {
	if p.is("snapshots cannot be loaded") {
		return store.Snapshot{}, false, errLost
	}
	snap, ok, err := p.tampered.LoadSnapshot(ctx, s, schema)
	switch {
	case p.is("snapshots have no schema"):
		snap.Schema = ""
	case p.is("snapshots have no stream"):
		snap.Stream = store.Stream{}
	}
	return snap, ok, err
}

func (p *twisted) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	if p.turn.by.Load() == goroutine() && p.is("a checkpoint saved in an update is lost") {
		return nil
	}
	return p.tampered.SaveCheckpoint(ctx, name, from, to)
}

// endings returns the clauses that wait for the end of a subscription.
func endings() (all []reaching) {
	for _, clause := range []string{
		"Subscribe/yields the log from a position on, and then reports that it has caught up", "Subscribe/it catches up with an empty log at once",
		"Subscribe/later events arrive one by one", "Subscribe/every kind of append wakes it",
		"Subscribe/from beyond the head, only events from there on arrive", "Subscribe/a filter selects exactly the matching events, replayed and live",
		"Subscribe/resuming at any Next yields exactly the rest", "Subscribe/a slow loop gets everything, and slows down nobody else",
		"Subscribe/break ends it", "Tenants/subscriptions are separate",
		"Log/a filter finds few events among many", "Log/events with more bytes than fit into a page are read to the end",
		"Refused subscriptions/a subscription continues",
	} {
		all = append(all, reaching{clause, "cancel ignored", "has not ended"})
	}
	return all
}

// twistedReachings returns bugs of a twisted store for assertions that no other bug
// reaches.
func twistedReachings() []reaching {
	const appends, claims = "Context/an append whose context ends at any moment is recorded completely or not at all",
		"Claims/an append whose context ends at any moment makes events and claims or neither"
	return []reaching{
		{appends, "streams cannot be read", errLost.Error()},
		{claims, "streams cannot be read", errLost.Error()},
		{claims, "holders cannot be loaded", errLost.Error()},
		{"Append/returns the version and position of the last event", "a batch in the wrong order", "want only the last event of the batch"},
		{"Contention/every refusal is a conflict with the actual version", "two events have one version", "event 3 of the page is version 2, want 3"},
		{"Read/resuming at the last Next finds exactly the new events", "a long read has other data", "pages from Next to Next"},
		{"Read/events with more bytes than fit into a page are read to the end", "a long read has other data", "of 1 MiB, read to the end"},
		{"Log/pages of every size cover everything, backward", "stores opened later have no log", "lacks a capability"},
		{"Log/a filter selects exactly the matching events", "a backward page ignores the filter", "which the filter does not match"},
		{"Snapshots/a load returns the saved bytes", "snapshots have no schema", "want"},
		{"Snapshots/a load returns the saved bytes", "snapshots have no stream", "want"},
		{"Log/a filter finds few events among many", "a subscription with a filter has no past", "until it had caught up"},
		{"Log/events with more bytes than fit into a page are read to the end", "a subscription fails", "0 events had arrived"},
		{"Subscribe/later events arrive one by one", "live events come with an invented one", "the subscription yielded 2"},
		{"Subscribe/from beyond the head, only events from there on arrive", "a subscription fails", "0 events had arrived"},
		{"Subscribe/a filter selects exactly the matching events, replayed and live", "the log ends after 30 events", "no new event that filter"},
		{"Subscribe/no event is lost, repeated or out of order when the replay ends", "live events have other data", "started while others appended"},
		{"Subscribe/a slow loop gets everything, and slows down nobody else", "a subscription fails at once", "the connection is lost"},
		{"Subscribe/the loop can call the store", "the newest event is missing", "has 20 events, want 21"},
		{"Subscribe/the caller can change a page", "subscriptions share data", "another one yields"},
		{"Subscribe/break ends it", "after a break events are lost", "until it had caught up"},
		{"Subscribe/the caller can change a page", "a page aliases the store", "the log differs"},
		{"Tenants/subscriptions are separate", "a subscription fails", "0 events had arrived"},
		{"Tenants/subscriptions are separate", "events of one type are not in the log", "yielded 6 events, want only its own 11"},
		{"Update/a context that ends during it commits everything or nothing", "snapshots cannot be loaded", "looking after an Update"},
		{"Update/its appends are in the log, in order, together with other appends", "stores opened later have no transactions", "has no Update"},
		{"Update/its appends are in the log, in order, together with other appends", "recording time of each read", "compared with a read afterwards"},
		{"Update/its appends are in the log, in order, together with other appends", "two events have one version", "event 3 of the page is version 2, want 3"},
		{"Update/a write to the store in its function does not wait for it", "a checkpoint saved in an update is lost", "after SaveCheckpoint of the store"},
		{"Update/a refused call changes nothing, and the transaction can continue", "events of a refused append in an update are kept", "after refused appends in a transaction"},
		{"Update/a saved checkpoint makes others wait, and then they get a conflict", "an update does not see its checkpoints", "in the transaction that saved"},
		{"Update/a saved checkpoint makes others wait, and then they get a conflict", "a checkpoint that was kept is a conflict", "0 of two others that waited moved it, want 1"},
		{"Update/none of several concurrent transactions is lost", "an update loses documents", "each added a letter"},
		{"Finder/tenants are separate", "a list has the versions of another tenant", "with one stream at version 1"},
		{"Close/subscriptions end with ErrClosed", "never caught up", "has not caught up after"},
	}
}
