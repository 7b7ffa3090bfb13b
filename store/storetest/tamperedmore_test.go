package storetest_test

import (
	"context"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// changeValues changes what the values of events point to.
func changeValues(events []store.Event) {
	for i := range events {
		if v, ok := events[i].Value.(*struct{ Owner string }); ok {
			v.Owner = "bob"
		}
	}
}

// tamperLog changes a page of the log.
func (p *tampered) tamperLog(page *store.Page, o store.LogOptions) {
	p.mu.Lock()
	defer p.mu.Unlock()
	none := func(next uint64) { page.Events, page.Next, page.End = nil, next, false }
	switch {
	case p.is("an empty page of the log does not advance") && !o.Backward:
		none(o.From)
	case p.is("an empty page of the log backward has no End") && o.Backward && len(page.Events) > 0:
		none(page.Events[0].Position - 1)
	case p.is("positions backward are beyond the head") && o.Backward:
		for i := range page.Events {
			page.Events[i].Position += 1000
		}
	case p.is("backward there is more after the end") && o.Backward && page.End:
		page.Next = 1
	case p.is("backward there is no Next") && o.Backward && !page.End:
		page.Next = 0
	case p.is("a page of the log has one event too many") && !o.Backward && o.Limit > 1:
		if i := slices.IndexFunc(p.log, func(r *store.Recorded) bool { return r.Position == page.Next }); i >= 0 {
			page.Events = append(page.Events, *p.log[i])
			page.Next++
		}
	case p.is("the log lacks a type of streams"):
		page.Events = slices.DeleteFunc(page.Events, func(e store.Recorded) bool { return e.Stream.Type == "Order" })
	case p.is("a filter finds only names of ASCII"):
		page.Events = slices.DeleteFunc(page.Events, func(e store.Recorded) bool {
			return len(o.Filter.StreamTypes) > 0 && len(e.Stream.Type) != len([]rune(e.Stream.Type))
		})
	case p.is("a page of the log has the memory of the first page"):
		p.lendFirst(page, o)
	}
}

// lendFirst puts the memory of the first page that was read into a page with options. The
// caller holds mu.
func (p *tampered) lendFirst(page *store.Page, o store.LogOptions) {
	first, read := p.cache[0]
	if !read {
		p.cache[0] = store.Page{Events: slices.Clone(page.Events)}
		return
	}
	for i := range page.Events {
		at := slices.IndexFunc(first.Events, func(e store.Recorded) bool { return e.Position == page.Events[i].Position })
		if at >= 0 && (o.Limit > 0 || o.Backward) {
			page.Events[i].Data = first.Events[at].Data
		}
	}
}

// goesOn reports whether a subscription continues after the page with this number.
func (p *tampered) goesOn(page store.Page, number int, err error, yield func(store.Page, error) bool) bool {
	switch {
	case p.is("a subscription ends after two pages"):
		return number < 2
	case p.is("a subscription ends when it has caught up"):
		return !page.End
	case p.is("a subscription goes back") && page.End:
		return yield(store.Page{Head: page.Head, End: true}, nil)
	case p.is("a page follows the last error") && err != nil:
		return yield(page, nil)
	}
	return true
}

// earlier returns the end of lease, or a time before it from the third time on.
func (p *tampered) earlier(lease store.Lease) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := store.Stream{ID: lease.Name}
	if p.created[key]++; p.created[key] > 2 {
		return lease.Until.Add(-time.Minute)
	}
	return lease.Until
}

func (p *tampered) ListCheckpoints(ctx context.Context, from string, limit int) ([]store.NamedCheckpoint, error) {
	list, err := p.plain.ListCheckpoints(ctx, from, limit)
	if len(list) == 1 && list[0].Name == from && p.is("a list from the last name is empty") {
		return nil, err
	}
	return list, err
}

func (p *tampered) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if ctx.Err() != nil && p.is("an ended call returns something else") {
		return nil
	}
	return p.plain.ReleaseLease(ctx, lease)
}

func (p *tampered) LoadSnapshot(ctx context.Context, s store.Stream, schema string) (store.Snapshot, bool, error) {
	if ctx.Err() != nil && p.is("an ended call returns something else") {
		return store.Snapshot{Stream: s, Schema: schema, Version: 1}, true, nil
	}
	return p.plain.LoadSnapshot(ctx, s, schema)
}

func (p *tampered) ReadValues(ctx context.Context, s store.Stream, from uint64) (store.Values, error) {
	v, err := p.plain.ReadValues(ctx, s, from)
	if part := v.Next(); p.is("values have an empty part") && part != nil {
		return store.LendValues(v.Head, uint64(len(part)), []any{}, [][]any{part}), err
	}
	if p.is("values have an empty part") {
		return v, err
	}
	return p.plain.ReadValues(ctx, s, from)
}

// moreReachings returns more bugs for assertions that no other bug reaches.
func moreReachings() []reaching {
	const anyEnded, forward, backward = "an ended call returns something else",
		"Log/pages of every size cover everything, forward", "Log/pages of every size cover everything, backward"
	return []reaching{
		{"Append/returns the version and position of the last event", "the newest event is missing", "want only the last event of the batch"},
		{"Contention/200 concurrent increments all survive", "the last event is not on a page of its own", "Limit:1"},
		{"Contention/a read is never older than what its caller knew", "two versions change places", "for one client and"},
		{"Context/a read with an ended context fails with the error of the context", anyEnded, "with an ended context: event 1 of 3: ID is"},
		{"Context/a large batch whose context ends at any moment is recorded completely or not at all", "a replay is refused", "again, after its context ended"},
		{"Checkpoints/nothing is saved with an ended context", anyEnded, "LoadCheckpoint with an ended context = {Position:7"},
		{"Checkpoints/it moves forward, to itself or to zero, with a valid name", "every name has a checkpoint", "after a refused save, want none"},
		{"Checkpoints/they are listed in the byte order of their names", "a list from the last name is empty", "0 checkpoints, success; want 1"},
		{"Update/a repeated append in it is replayed", "a replay returns another position", "that a transaction has appended"},
		{"Claims/nothing is claimed with an ended context", anyEnded, "Holder of a free key with an ended context = true"},
		{"Leases/nothing is granted or released with an ended context", anyEnded, "with an ended context = success"},
		{"Leases/its owner can extend it, and the fence stays the same", "the third lease ends early", "again = until"},
		{"Snapshots/nothing is saved with an ended context", anyEnded, "LoadSnapshot with an ended context = true"},
		{"Read/Events yields the stream from a version on", anyEnded, "Events with a context that has ended yielded version"},
		{"Read/a missing stream is an empty page", "a stream without events has a head", "of a missing stream = 0 events, Head 1"},
		{"Invalid/an invalid stream has no events to read", "a stream without events has a head", "want an empty page or"},
		{"Fidelity/a value comes back or is refused as invalid", "the store changes a value", "changed the Value"},
		{"Fidelity/metadata comes back byte for byte", "causes are lost", "CausationID is"},
		{"Aliases/a page with ReadOnly has the same events", "a page with ReadOnly has other positions", "Position is"},
		{"Aliases/a page with ReadOnly has the same events", "a page with ReadOnly has other times", "Time is"},
		{"Finder/an unused id is not found, byte for byte", "only ids of ASCII are found", "want the event at version"},
		{"Values/values are those of the events, from any version on", "values have an empty part", "a part without values"},
		{"Tenants/streams with the same name are separate", "a tenant is nil", "want a store"},

		{"Log/a read with an ended context fails with the error of the context", anyEnded, "ReadAll with an ended context"},
		{"Log/an event reads the same in the log and in its stream", "the log lacks a type of streams", "want 20"},
		{"Log/a filter selects exactly the matching events", "the log ends after two events", "the log has 2 events, want"},
		{"Log/a filter compares names byte for byte", "a filter finds only names of ASCII", "events, want 1: the first missing one"},
		{"Log/resuming at the last Next finds exactly the new events", "a page of the log has one event too many", "3 events, want at most 2"},
		{"Log/a reader that has seen a position never finds a new event at or below it", "a page of the log has one event too many", "while others append: 4 events"},
		{"Log/the caller can change a page", "a page of the log has the memory of the first page", "a page that was read before differs"},
		{forward, "an empty page of the log does not advance", "reading on would never end"},
		{backward, "an empty page of the log backward has no End", "may be empty only at the end"},
		{backward, "positions backward are beyond the head", "want a position from 1 to"},
		{backward, "backward there is more after the end", "at the end backward, want 0"},
		{backward, "backward there is no Next", "Next is 0 backward and End false"},

		{"Subscribe/it catches up with an empty log at once", "a subscription ends when it has caught up", "ended without an error"},
		{"Subscribe/later events arrive one by one", "a subscription ends after two pages", "ended without an error"},
		{"Subscribe/the loop can call the store", "a subscription ends after two pages", "it ended without an error"},
		{"Subscribe/the end of its context ends it, with that error last", "a subscription ends when it has caught up", "it ended without an error"},
		{"Subscribe/the end of its context ends it, with that error last", "a page follows the last error", "it yielded a page after the error"},
		{"Subscribe/break ends it", "a subscription ends after two pages", "it ended by itself"},
		{"Subscribe/later events arrive one by one", "a subscription goes back", "before the current position"},
		{"Refused subscriptions/a subscription continues", "a subscription ends when it has caught up", "want one"},

		{"Model/random histories get the same results as from a simple model", "returns the first version", "got {Version:"},
		{"Model/random histories get the same results as from a simple model", "Head is the end of the page", "Head is"},
		{"Model/random histories get the same results as from a simple model", "backward pages have the data of the last event", "Data is"},
	}
}
