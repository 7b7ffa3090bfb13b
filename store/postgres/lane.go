package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	// maxGroup is how many appends one transaction commits at most.
	maxGroup = 512
	// maxGroupEvents and maxGroupData are at how many events and bytes of data a
	// group is not joined any more.
	maxGroupEvents = 4096
	maxGroupData   = 8 << 20
	// maxNews is how long the news of a group can be; the server takes less than 8000.
	maxNews = 7000
	// attempts is how often an append is tried that other transactions got in the
	// way of.
	attempts = 3
)

// The states of an appending.
const (
	waiting = iota
	taken
	abandoned
)

// lane commits appends in groups, one group at a time. An append that finds nobody
// before it is committed by its caller, which spares two switches of goroutines.
type lane struct {
	backend *backend
	turn    chan struct{} // holds one while there is a group under way
	queue   chan *appending
	wake    chan struct{} // holds one when something was put in the queue
	held    []*appending  // to go before the queue; only run uses it
	stopped chan struct{} // closed when run has returned
}

func newLane(b *backend) *lane {
	return &lane{
		backend: b, turn: make(chan struct{}, 1), queue: make(chan *appending, maxGroup), wake: make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
}

// submit makes an append and returns when it is committed. If ctx ends before it was
// begun, it is never made.
func (l *lane) submit(ctx context.Context, a *appending) error {
	if len(l.queue) == 0 {
		select {
		case l.turn <- struct{}{}:
			defer func() { <-l.turn }()
			return l.backend.commitOne(ctx, a)
		default:
		}
	}
	select {
	case l.queue <- a:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.backend.done:
		return store.ErrClosed
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case <-a.done:
		return a.failure
	case <-ctx.Done():
		if !a.state.CompareAndSwap(waiting, abandoned) {
			a.group.Load().leave()
		}
		return ctx.Err()
	case <-l.stopped:
	}
	select {
	case <-a.done:
		return a.failure
	default:
		return store.ErrClosed // it is left in the queue
	}
}

// run commits what is pending, as one group, until the backend is closed. It never
// waits for a group to grow: it does that by itself during a commit.
func (l *lane) run() {
	defer close(l.stopped)
	for {
		select {
		case <-l.backend.done:
			return
		case <-l.wake:
		}
		l.turn <- struct{}{}
		for more := true; more && !l.backend.isClosed(); {
			more = l.commitNext()
		}
		<-l.turn
	}
}

// commitNext commits a group, and returns false if there is nothing to commit.
func (l *lane) commitNext() bool {
	ctx, cancel := context.WithCancel(l.backend.life)
	defer cancel()
	g := &group{cancel: cancel}
	l.gather(g)
	if len(g.members) == 0 {
		return false
	}
	l.backend.commit(ctx, g.members)
	return true
}

// gather fills g with what is held and what is in the queue.
func (l *lane) gather(g *group) {
	held := l.held
	l.held = nil
	for _, a := range held {
		l.join(g, a)
	}
	for !g.full() && len(l.held) < maxGroup {
		select {
		case a := <-l.queue:
			l.join(g, a)
		default:
			return
		}
	}
}

// join puts a in g if it is still wanted; if it cannot be in g, it is held for the next
// group.
func (l *lane) join(g *group, a *appending) {
	if g.full() || g.excludes(a) {
		l.held = append(l.held, a)
		return
	}
	a.group.Store(g)
	if a.state.CompareAndSwap(waiting, taken) {
		g.add(a)
	}
}

// group is appends that are committed together. It is given up when nobody waits for
// any of them any more.
type group struct {
	members      []*appending
	claimers     []*appending      // those of members with claims
	names        map[name]struct{} // of members; nil while there is one
	events, size int
	waiting      atomic.Int32
	cancel       context.CancelFunc
}

func (g *group) full() bool {
	return len(g.members) == maxGroup || g.events >= maxGroupEvents || g.size >= maxGroupData
}

// excludes reports whether a has to wait for the outcome of one in g: it has an event
// id or a key in common, or one of them claims and they are of the same stream.
func (g *group) excludes(a *appending) bool {
	if len(g.members) == 0 {
		return false
	}
	if g.names == nil {
		g.names = make(map[name]struct{})
		g.name(g.members[0])
	}
	for n := range a.names() {
		if _, ok := g.names[n]; ok {
			return true
		}
	}
	others := g.claimers
	if len(a.claims) > 0 {
		others = g.members
	}
	return slices.ContainsFunc(others, func(o *appending) bool { return o.key == a.key })
}

func (g *group) add(a *appending) {
	if g.names != nil {
		g.name(a)
	}
	g.members = append(g.members, a)
	if len(a.claims) > 0 {
		g.claimers = append(g.claimers, a)
	}
	g.events += len(a.events)
	g.size += a.size
	g.waiting.Add(1)
}

func (g *group) name(a *appending) {
	for n := range a.names() {
		g.names[n] = struct{}{}
	}
}

// name is an event id or a key of a tenant.
type name struct {
	tenant, name string
	key          bool
}

// names yields the ids and keys of a.
func (a *appending) names() iter.Seq[name] {
	return func(yield func(name) bool) {
		for i := range a.events {
			if !yield(name{a.key.tenant, a.events[i].event.ID, false}) {
				return
			}
		}
		for i := range a.claims {
			if !yield(name{a.key.tenant, a.claims[i].Key, true}) {
				return
			}
		}
	}
}

// leave is called by each who does not wait any more.
func (g *group) leave() {
	if g.waiting.Add(-1) == 0 {
		time.AfterFunc(patience, g.cancel) // most end soon, and the connection is worth it
	}
}

// commitOne makes the append of a caller that waits for it here, and tells the others.
func (b *backend) commitOne(ctx context.Context, a *appending) error {
	return b.calling(ctx, func(ctx context.Context) error {
		err := b.tryCommit(ctx, []*appending{a})
		if err == nil {
			b.news.tell([]string{a.key.tenant})
		}
		return err
	})
}

// commit makes the appends of members in one transaction, or each half in its own if the
// database refuses them together, and tells those who wait.
func (b *backend) commit(ctx context.Context, members []*appending) {
	err := b.tryCommit(ctx, members)
	if n := len(members) / 2; n > 0 && isBadValue(err) {
		b.commit(ctx, members[:n])
		b.commit(ctx, members[n:])
		return
	}
	if err == nil {
		b.news.tell(tenantsOf(members))
	}
	for _, a := range members {
		a.failure = typed(err)
		close(a.done)
	}
}

// tryCommit is one transaction, and again if others were in its way.
func (b *backend) tryCommit(ctx context.Context, members []*appending) error {
	inner, cancel := context.WithTimeoutCause(ctx, 4*b.bound, errSilent)
	defer cancel()
	err := b.writing(inner, func(ctx context.Context, q querier) error { return b.transact(ctx, q, members) })
	if err != nil && ctx.Err() == nil && context.Cause(inner) == errSilent { //nolint:errorlint // it is never wrapped
		return errSilent
	}
	return err
}

func (b *backend) transact(ctx context.Context, q querier, members []*appending) error {
	if b.quickly && len(members) == 1 && len(members[0].claims) == 0 {
		if done, err := b.quick(ctx, q, members[0]); done || err != nil && !isAborted(err) && !isBadValue(err) {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		err := b.call(ctx, q, members)
		if attempt == attempts || !isAborted(err) && (!isBadValue(err) || len(members) > 1) {
			return err
		}
	}
}

// quick makes an append, by one statement in place of the function in the database, and
// settles it, or returns false if that has to have a look: at what is taken, and at
// a log that is new.
func (b *backend) quick(ctx context.Context, q querier, a *appending) (done bool, err error) {
	query := b.sql.quickOne
	if len(a.events) > 1 {
		query = b.sql.quickSeveral
	}
	var version, head int64
	var taken bool
	if err := q.QueryRow(ctx, query, quickArguments(b.logPerTenant, a)...).Scan(&version, &head, &taken); err != nil {
		return false, err
	}
	least, most := bounds(a.expected)
	switch {
	case head > 0:
		a.appended = store.Appended{Version: uint64(version) + uint64(len(a.events)), Position: uint64(head)} //nolint:gosec // not negative
	case !taken && (version < least || version > most):
		a.refused = &store.ConflictError{Stream: a.key.stream, Expected: a.expected, Actual: uint64(version)} //nolint:gosec // not negative
	default:
		return false, nil
	}
	return true, nil
}

// call has the database make the appends of members and settles them.
func (b *backend) call(ctx context.Context, q querier, members []*appending) error {
	rows, err := q.Query(ctx, b.sql.append, newArguments(b.logPerTenant, members).list()...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var r answer
	columns := r.columns()
	for _, a := range members {
		if !rows.Next() {
			return errors.Join(rows.Err(), errShort)
		}
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		a.settle(&r)
	}
	rows.Close()
	return rows.Err() // of the commit
}

var errShort = errors.New("the answer to an append is too short")

// tenantsOf returns the tenants of members, each once.
func tenantsOf(members []*appending) []string {
	tenants := make([]string, 0, 4)
	for _, a := range members {
		if len(tenants) == 0 || tenants[len(tenants)-1] != a.key.tenant {
			tenants = append(tenants, a.key.tenant)
		}
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}

// newsOf returns what to tell those who listen: the tenants as JSON, or nothing if
// they are too many, which stands for all.
func newsOf(tenants []string) string {
	text, err := json.Marshal(tenants)
	if err != nil || len(text) > maxNews {
		return ""
	}
	return string(text)
}
