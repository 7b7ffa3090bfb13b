package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
)

// tampered is a plain store whose results are changed by its bug: lost or repeated
// data, or a wrong error. Everything else is correct.
type tampered struct{ *plain }

var (
	_ store.Log         = (*tampered)(nil)
	_ store.Claims      = (*tampered)(nil)
	_ store.Leases      = (*tampered)(nil)
	_ store.Snapshots   = (*tampered)(nil)
	_ store.Checkpoints = (*tampered)(nil)
	_ store.Tenants     = (*tampered)(nil)
)

func (p *tampered) Tenant(id string) (store.Store, error) {
	st, err := p.plain.Tenant(id)
	if p.is("a tenant is nil") {
		return nil, nil //nolint:nilnil // that is the bug
	}
	if of, ok := st.(*plain); ok && err == nil {
		return &tampered{plain: of}, nil
	}
	return st, err
}

func (p *tampered) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	before := p.length()
	if p.is("the store changes a value") {
		changeValues(events)
	}
	got, err := p.plain.Append(ctx, s, expected, events)
	conflict, refused := errors.AsType[*store.ConflictError](err)
	switch {
	case refused && p.is("a conflict reveals another tenant's version"):
		conflict.Actual = max(conflict.Actual, p.elsewhere(s))
	case err != nil:
	case p.is("a replay returns another position") && got.Replayed:
		got.Position++
	case p.is("a later append returns a wrong version") && before > 0:
		got.Version++
	case p.is("a successful create returns a conflict") && expected == store.NoStream:
		return store.Appended{}, &store.ConflictError{Stream: s, Expected: expected, Actual: got.Version}
	case p.is("an append changes a page with ReadOnly"):
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range p.streams[s] {
			r.Data = append(r.Data, '!') // other readers have a page with the same memory
			r.Data[0] ^= 0xff
		}
	}
	return got, err
}

// length returns the number of events in the log.
func (p *tampered) length() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log)
}

// elsewhere returns the version of s in another tenant.
func (p *tampered) elsewhere(s store.Stream) (version uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.tenants {
		if other != p.plain {
			version = max(version, other.version(s))
		}
	}
	return version
}

// has reports whether stream s exists.
func (p *tampered) has(s store.Stream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version(s) > 0
}

func (p *tampered) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if ctx.Err() != nil && p.is("an ended call returns something else") {
		page, err := p.plain.Read(context.WithoutCancel(ctx), s, o)
		for i := range page.Events {
			page.Events[i].ID, page.Events[i].Data = "other", nil
		}
		return page, err
	}
	page, err := p.plain.Read(ctx, s, o)
	if missing := err != nil && s.Validate() != nil || err == nil && !p.has(s); missing && p.is("a stream without events has a head") {
		return store.Page{Head: 1, End: true}, nil
	}
	if err != nil || len(page.Events) == 0 {
		return page, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.streams[p.key(s)]
	of := func(n uint64) []byte { return bytes.Clone(all[n-1].Data) }
	for i := range page.Events {
		e := &page.Events[i]
		switch {
		case p.is("a page with ReadOnly has other data") && o.ReadOnly,
			p.is("a single event has the data of the first") && o.Limit == 1 && !o.Backward:
			e.Data = of(1)
		case p.is("a page with ReadOnly has other positions") && o.ReadOnly:
			e.Position++
		case p.is("a page with ReadOnly has other times") && o.ReadOnly:
			e.Time = e.Time.Add(time.Microsecond)
		case p.is("causes are lost"):
			e.Meta.CausationID = ""
		case p.is("backward pages have the data of the last event") && o.Backward:
			e.Data = of(uint64(len(all)))
		case p.is("two versions change places") && len(all) > 9 && (e.Version == 2 || e.Version == 3):
			e.Data, e.ID = of(5-e.Version), all[5-e.Version-1].ID
		case p.is("an append changes a page with ReadOnly") && o.ReadOnly:
			e.Data = all[e.Version-1].Data
		case p.is("content types folded"):
			e.ContentType = strings.ToLower(e.ContentType)
		case p.is("a long read has other data") && len(page.Events) > 4, p.is("three events have other data") && len(page.Events) == 3:
			e.Data = []byte("other")
		}
	}
	if last := len(page.Events) - 1; p.is("the newest event is missing") && !o.Backward && page.Events[last].Version == page.Head {
		page.Events, page.Next = page.Events[:last], page.Next-1
		page.Head--
	}
	if p.is("the last event is not on a page of its own") && o.Backward && o.Limit == 1 {
		page.Events = nil
	}
	return page, nil
}

func (p *tampered) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := p.plain.ReadAll(ctx, o)
	switch {
	case err != nil:
		if ctx.Err() != nil && p.is("an ended call returns something else") {
			err = errLost
		}
	case p.is("a page has the head of all tenants"):
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, other := range p.tenants {
			page.Head = max(page.Head, other.position)
		}
	case p.is("a page begins one event too late") && o.From > 1 && o.Limit != 1 && len(page.Events) > 0:
		page.Events = page.Events[1:]
	default:
		p.tamperLog(&page, o)
	}
	return page, err
}

func (p *tampered) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		caughtUp, pages := false, 0
		p.plain.Subscribe(ctx, o)(func(page store.Page, err error) bool {
			if pages++; p.is("a subscription fails") && pages > 1 {
				yield(store.Page{}, errors.New("the connection is lost"))
				return false
			}
			if p.is("live events have other data") && caughtUp {
				for i := range page.Events {
					page.Events[i].Data = []byte("other")
				}
			}
			caughtUp = caughtUp || page.End
			return yield(page, err) && p.goesOn(page, pages, err, yield)
		})
	}
}

func (p *tampered) AppendClaiming(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim) (store.Appended, error) {
	if p.is("a claim without events succeeds") && len(events) == 0 {
		return store.Appended{}, nil
	}
	if p.is("a stream can take any single key") && len(claims) == 1 && expected == store.Any && p.has(s) {
		return p.plain.Append(ctx, s, expected, events)
	}
	return p.plain.AppendClaiming(ctx, s, expected, events, claims)
}

func (p *tampered) Holder(ctx context.Context, key string) (store.Stream, bool, error) {
	holder, ok, err := p.plain.Holder(ctx, key)
	if ok && p.is("a key has a different holder") {
		holder.ID += "!"
	}
	if ctx.Err() != nil && p.is("an ended call returns something else") {
		return holder, true, nil
	}
	return holder, ok, err
}

func (p *tampered) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	lease, err := p.plain.AcquireLease(ctx, name, owner, ttl)
	if err == nil && p.is("the third lease ends early") {
		lease.Until = p.earlier(lease)
	}
	if err != nil && owner == "a" && p.is("the first owner can retake its lease") {
		return store.Lease{Name: name, Owner: owner, Fence: 9, Until: time.Now().Add(ttl)}, nil
	}
	return lease, err
}

func (p *tampered) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	err := p.plain.SaveSnapshot(ctx, snap)
	if err != nil && p.is("a refused snapshot is saved") {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.snapshots[p.snapshotKey(snap.Stream, snap.Schema)] = snap
	}
	return err
}

func (p *tampered) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	c, err := p.plain.LoadCheckpoint(ctx, name)
	if c.Position == 2 && p.is("the second checkpoint cannot be loaded") {
		return store.Checkpoint{}, errors.New("the connection is lost")
	}
	if ctx.Err() != nil && p.is("an ended call returns something else") || name == "" && p.is("every name has a checkpoint") {
		return store.Checkpoint{Position: 7, EventID: "e7"}, nil
	}
	return c, err
}

func (p *tampered) FindEvent(ctx context.Context, id string) (store.Recorded, bool, error) {
	r, found, err := p.plain.FindEvent(ctx, id)
	if found && p.is("a found event has another version") {
		r.Version++
	}
	if len(id) != len([]rune(id)) && p.is("only ids of ASCII are found") {
		return store.Recorded{}, false, err
	}
	return r, found, err
}

// reaching is a bug for one assertion of a clause, and a part of the assertion's
// message.
type reaching struct{ clause, bug, says string }

// reachings returns bugs for assertions that no other bug reaches.
func reachings() []reaching {
	return []reaching{
		{"Append/versions are 1 to n without a gap", "returns the first version", "= version 2, want 4"},
		{"Append/returns the version and position of the last event", "positions go down", "the position of the previous append"},
		{"Append/Exactly accepts one version, and a refusal leaves no gap", "a later append returns a wrong version", "= version 5, want 4"},
		{"Contention/exactly one of 8 concurrent creates wins", "a successful create returns a conflict", "want 1"},
		{"Contention/200 concurrent increments all survive", "the newest event is missing", "increments, but the stream has"},
		{"Contention/200 concurrent increments all survive", "two versions change places", "an increment was based on another version"},
		{"Contention/200 concurrent increments all survive", "stale reads", "was known to be at"},
		{"Contention/200 concurrent increments all survive", "a conflict reports the expected version as actual", "want more than the known version"},
		{"Contention/appends that expect Any never conflict, and their batches never mix", "two versions change places", "is not the event that the result"},
		{"Context/an append whose context ends at any moment is recorded completely or not at all", "a replay is refused", "again, after its context ended"},
		{"Context/an append whose context ends at any moment is recorded completely or not at all", "two versions change places", "after appends that ended at any moment"},
		{"Fidelity/1 MiB of data comes back", "the newest event is missing", "has 2 events"},
		{"Fidelity/an event never changes", "a single event has the data of the first", "From:3"},
		{"Aliases/a page with ReadOnly has the same events", "a page with ReadOnly has other data", "compared with the same reads without ReadOnly"},
		{"Aliases/a page with ReadOnly has the same events", "an append changes a page with ReadOnly", "compared after it"},
		{"Read/events with more bytes than fit into a page are read to the end", "backward pages have the data of the last event", "of events of 1 MiB, and the following pages"},
		{"Log/positions strictly increase and agree with the versions", "positions go down", "comes after version"},
		{"Log/refused events are not in the log", "invalid arguments return an untyped error", "want a refusal"},
		{"Log/refused events are not in the log", "a replay is refused", "want a replay"},
		{"Log/refused events are not in the log", "the log ends after two events", "the log has 2 events, want 4"},
		{"Log/pages of every size cover everything, forward", "the log ends after two events", "the log has 2 events, want 9"},
		{"Log/events with more bytes than fit into a page are read to the end", "live events have other data", "a subscription to events of 1 MiB"},
		{"Subscribe/it catches up with an empty log at once", "live events have other data", "Subscribe of a log that was empty"},
		{"Subscribe/from beyond the head, only events from there on arrive", "live events have other data", "two positions beyond the next event"},
		{"Subscribe/a filter selects exactly the matching events, replayed and live", "live events have other data", ", live: "},
		{"Tenants/event ids are separate", "a replay is refused", "want version 2, replayed"},
		{"Tenants/logs are separate", "a page has the head of all tenants", "want its own head"},
		{"Tenants/subscriptions are separate", "live events have other data", "compared with its log"},
		{"Update/a refused call changes nothing, and the transaction can continue", "invalid arguments return an untyped error", ", want store: invalid argument"},
		{"Update/a refused call changes nothing, and the transaction can continue", "checkpoint conflict untyped", "in a transaction, a checkpoint"},
		{"Update/a repeated append in it is replayed", "a replay in an update returns a wrong version", "of recorded events"},
		{"Claims/a refused claim leaves no event and no other claim", "a stream can take any single key", "succeeded"},
		{"Claims/a refused append leaves no claim", "a claim without events succeeds", "0 events"},
		{"Claims/an append whose context ends at any moment makes events and claims or neither", "a key has a different holder", "the holder of the key is"},
		{"Claims/exactly one of 8 concurrent claimers wins", "a key has a different holder", "Holder("},
		{"Claims/exactly one of 8 concurrent claimers wins", "keys taken from others", "succeeded, want 1"},
		{"Read/reading from beyond the head", "the last event is not on a page of its own", "none of 3 events"},
		{"Subscribe/the end of its context ends it, with that error last", "a subscription with an ended context ends without an error", "with an ended context"},
		{"Subscribe/the end of its context ends it, with that error last", "a cancellation is a deadline that passes", "cancelled while it waits"},
		{"Subscribe/the end of its context ends it, with that error last", "a cancelled replay ends without an error", "cancelled in replay"},
		{"Subscribe/the end of its context ends it, with that error last", "a deadline that passes is a cancellation", "whose deadline passes"},
		{"Update/it sees its own writes", "a conflict in an update is untyped", "that has created the stream"},
		{"Update/it sees its own writes", "a duplicate in an update is untyped", "that the transaction has appended"},
		{"Leases/its owner can extend it, and the fence stays the same", "extending does not extend", "but it was until"},
		{"Leases/its owner can extend it, and the fence stays the same", "extending raises the fence", "by the owner that just got it"},
		{"Leases/one of several concurrent owners holds it at a time", "everybody gets the lease", "hold it at the same time"},
		{"Leases/it expires", "the first owner can retake its lease", "by the previous owner"},
		{"Checkpoints/exactly one of several concurrent saves wins each step", "the second checkpoint cannot be loaded", "the connection is lost"},
		{"Snapshots/invalid arguments are refused", "a refused snapshot is saved", "was refused, but LoadSnapshot finds it"},
		{"Reopened/versions continue", "a later append returns a wrong version", "= version 6, want 5"},
		{"Reopened log/every event has its position, and positions continue", "the log loses its order", "the log, reopened"},
		{"Reopened log/a consumer continues after its checkpoint", "a page begins one event too late", "the events after"},
		{"Reopened log/a consumer continues after its checkpoint", "events get new ids", "reopened, failed"},
		{"Refused/an append fails at once, definitely, and records nothing", "a later append returns a wrong version", "= version 5, want 4"},
		{"Refused/an append fails at once, definitely, and records nothing", "a refused stream is created", "a refused append"},
		{"Append/a refused batch records nothing and reserves no id", "three events have other data", "Data is"},
		{"Fidelity/names come back byte for byte", "content types folded", "ContentType is"},
		{"Log/positions strictly increase and agree with the versions", "the log ends after two events", "the log has 2 events, want 30"},
		{"Subscribe/resuming at any Next yields exactly the rest", "a subscription fails", "the connection is lost"},
		{"Tenants/conflicts reveal nothing about another tenant", "a conflict reveals another tenant's version", "the stream is another tenant's"},
		{"Model/random histories get the same results as from a simple model", "returns no position", "the last one at position 0"},
		{"Model/random histories get the same results as from a simple model", "a long read has other data", "stream "},
	}
}

// TestEveryAssertion plants bugs that the other assertions of a clause miss.
func TestEveryAssertion(t *testing.T) {
	t.Parallel()
	for _, tt := range slices.Concat(reachings(), moreReachings(), twistedReachings(), endings()) {
		t.Run(tt.clause+"/finds "+tt.bug, func(t *testing.T) {
			t.Parallel()
			fails := func(r *recorder) bool { return r.Failed() && strings.Contains(r.said(), tt.says) }
			got := patiently(func(patience time.Duration) *recorder {
				open, n := opens(tt.clause, tt.bug), 0
				return record(tt.clause, func() store.Store {
					p, _ := open().(*plain)
					n++
					return twist(&tampered{plain: p}).opened(n)
				}, patience)
			}, fails)
			if !fails(got) {
				t.Errorf("the clause said %q, want that it fails with %q", got.said(), tt.says)
			}
		})
	}
}
