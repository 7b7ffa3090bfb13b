package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

const (
	// maxGroup is the maximum number of appends in a group.
	maxGroup = 512
	// maxGroupEvents and maxGroupData are the numbers of events and of bytes of data after
	// which a group accepts no more appends.
	maxGroupEvents = 4096
	maxGroupData   = 8 << 20
	// maxNews is the maximum size of a notification in bytes; the server accepts less than
	// 8000.
	maxNews = 7000
	// attempts is the number of times to try an append if other transactions interfere.
	attempts = 3
)

// groups is the maximum number of groups in progress at once.
const groups = 2

// The states of an appending.
const (
	waiting = iota
	taken
	abandoned
)

// lane commits appends in groups. Up to two groups are in progress: one waits for the
// lock on the log while the other commits. An append that finds no other append is
// committed by its caller, which saves two goroutine switches.
type lane struct {
	backend *backend
	running sync.WaitGroup // counts the groups in progress, except groups of one

	mu      sync.Mutex
	queue   []*appending // guarded by mu
	busy    int          // number of groups in progress; guarded by mu
	largest int          // size of the largest group in progress; guarded by mu
	usual   int          // approximate size of the larger groups; guarded by mu
	closed  bool         // guarded by mu
}

// close makes sure that no more groups begin, and returns when those in progress are
// done.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.running.Wait()
}

// submit makes an append and returns when it is committed. If ctx ends before the
// append is in a group, it is never made.
func (l *lane) submit(ctx context.Context, a *appending) error {
	l.mu.Lock()
	if l.busy == 0 && len(l.queue) == 0 {
		l.begin(1)
		l.mu.Unlock()
		defer l.end() //nolint:contextcheck // the next groups are not the caller's
		return l.backend.commitOne(ctx, a)
	}
	l.queue = append(l.queue, a)
	l.start() //nolint:contextcheck // the group is not only the caller's
	l.mu.Unlock()
	select {
	case <-a.done:
		return a.failure
	case <-ctx.Done():
		if !a.state.CompareAndSwap(waiting, abandoned) {
			a.group.Load().leave()
		}
		return ctx.Err()
	case <-l.backend.done:
	}
	if a.state.CompareAndSwap(waiting, abandoned) {
		return store.ErrClosed
	}
	select { // it is in progress
	case <-a.done:
		return a.failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin records that a group is in progress. The caller holds mu.
func (l *lane) begin(size int) {
	l.busy++
	l.largest = max(l.largest, size)
	l.usual = max(size, l.usual*3/4)
}

// end records that a group is done, and begins the next groups.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	if l.busy == 0 {
		l.largest = 0
	}
	l.start()
}

// start begins groups with the waiting appends. The caller holds mu. The first group
// never waits for more appends. A second group begins when it is worth a commit of its
// own, that is, when it is about as large as groups usually are.
func (l *lane) start() {
	for l.busy < groups && len(l.queue) > 0 && !l.closed {
		if l.busy > 0 && len(l.queue) < max(l.largest, l.usual/2) {
			return
		}
		ctx, cancel := context.WithCancel(l.backend.life)
		g := &group{cancel: cancel}
		l.gather(g)
		if len(g.members) == 0 {
			cancel()
			continue
		}
		l.begin(len(g.members))
		l.running.Go(func() {
			defer l.end() //nolint:contextcheck // the next groups have contexts of their own
			defer cancel()
			l.backend.commit(ctx, g.members)
			runtime.Gosched() // the callers that were just woken may have more appends for the same group
		})
	}
}

// gather moves appends from the queue to g, and drops those that were abandoned. The
// caller holds mu.
func (l *lane) gather(g *group) {
	kept := l.queue[:0]
	for i, a := range l.queue {
		if g.full() {
			kept = append(kept, l.queue[i:]...)
			break
		}
		if g.excludes(a) {
			kept = append(kept, a)
			continue
		}
		a.group.Store(g)
		if a.state.CompareAndSwap(waiting, taken) {
			g.add(a)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
}

// group holds appends that are committed together. It is cancelled if no caller waits
// for any of them.
type group struct {
	members      []*appending
	claimers     []*appending      // the members with claims
	names        map[name]struct{} // the names of members; nil while there is only one
	events, size int
	waiting      atomic.Int32
	cancel       context.CancelFunc
}

func (g *group) full() bool {
	return len(g.members) == maxGroup || g.events >= maxGroupEvents || g.size >= maxGroupData
}

// excludes reports whether a has to wait for the outcome of an append in g: because
// both have an event id or a key in common, or because both are to one stream and one
// of them has claims.
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

// leave is called by a caller that no longer waits.
func (g *group) leave() {
	if g.waiting.Add(-1) == 0 {
		time.AfterFunc(patience, g.cancel) // most groups end soon, and waiting for that saves the connection
	}
}

// commitOne makes one append in the goroutine of its caller.
func (b *backend) commitOne(ctx context.Context, a *appending) error {
	return b.calling(ctx, func(ctx context.Context) error {
		err := b.tryCommit(ctx, []*appending{a})
		if err == nil {
			b.news.tell([]string{a.key.tenant})
		}
		return err
	})
}

// commit makes the appends of members in one transaction, and wakes their callers. If
// the database refuses the transaction, commit tries each half of the members on its
// own.
func (b *backend) commit(ctx context.Context, members []*appending) {
	err := b.tryCommit(ctx, members)
	if rest := unsettled(members); len(rest) > 1 && isBadValue(err) {
		n := len(rest) / 2
		b.commit(ctx, rest[:n])
		b.commit(ctx, rest[n:])
		err = nil
	}
	b.news.tell(tenantsOf(members))
	for _, a := range members {
		select {
		case <-a.done: // already settled by its half
			continue
		default:
		}
		if !a.settled || errors.Is(err, ErrUnconfirmed) {
			a.failure = typed(err)
		}
		close(a.done)
	}
}

// unsettled returns those of members whose outcome is not known.
func unsettled(members []*appending) []*appending {
	return slices.DeleteFunc(slices.Clone(members), func(a *appending) bool { return a.settled })
}

// tryCommit calls transact with a connection and a time limit.
func (b *backend) tryCommit(ctx context.Context, members []*appending) error {
	inner, cancel := context.WithTimeoutCause(ctx, 4*b.bound, errSilent)
	defer cancel()
	err := b.writing(inner, func(ctx context.Context, q querier) error { return b.transact(ctx, q, members) })
	if err != nil && ctx.Err() == nil && context.Cause(inner) == errSilent { //nolint:errorlint // it is never wrapped
		return errSilent
	}
	return err
}

// transact makes the appends of members. It uses one statement for as many as possible,
// and the database function for the others. It retries if other transactions interfere.
func (b *backend) transact(ctx context.Context, q querier, members []*appending) error {
	if rest := unsettled(members); b.isQuick(rest) { // true for all of them, unless transact is called again
		quick := b.quickAppend
		if len(rest) > 1 {
			quick = b.quickAppends
		}
		if err := quick(ctx, q, rest); err != nil && !isAborted(err) && !isBadValue(err) {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		rest := unsettled(members)
		if len(rest) == 0 {
			return nil
		}
		err := b.call(ctx, q, rest)
		if attempt == attempts || !isAborted(err) && (!isBadValue(err) || len(rest) > 1) {
			return err
		}
	}
}

// isQuick reports whether one statement can make the appends of members: none has
// claims, each is to a different stream, and all are in one log.
func (b *backend) isQuick(members []*appending) bool {
	if !b.quickly {
		return false
	}
	var streams map[streamKey]struct{}
	if len(members) > 1 {
		streams = make(map[streamKey]struct{}, len(members))
	}
	for _, a := range members {
		if len(a.claims) > 0 || b.logPerTenant && a.key.tenant != members[0].key.tenant {
			return false
		}
		if streams != nil {
			streams[a.key] = struct{}{}
		}
	}
	return streams == nil || len(streams) == len(members)
}

// quickAppend makes one append with a statement, and settles it. If an id is already
// recorded or the log is new, it does neither, and leaves the append to the function.
func (b *backend) quickAppend(ctx context.Context, q querier, members []*appending) error {
	a, query := members[0], b.sql.quickOne
	if len(a.events) > 1 {
		query = b.sql.quickSeveral
	}
	var version, head int64
	var taken bool
	if err := q.QueryRow(ctx, query, quickArguments(b.logPerTenant, a)...).Scan(&version, &head, &taken); err != nil {
		return err
	}
	least, most := bounds(a.expected)
	switch {
	case head > 0:
		a.append(version+int64(len(a.events)), head)
	case !taken && (version < least || version > most):
		a.settled = true
		a.refused = &store.ConflictError{Stream: a.key.stream, Expected: a.expected, Actual: uint64(version)} //nolint:gosec // not negative
	}
	return nil
}

// quickAppends makes, in one statement, the appends whose streams are at their expected
// versions, and settles them.
func (b *backend) quickAppends(ctx context.Context, q querier, members []*appending) error {
	var before int64
	var versions, positions []int64
	var made []bool
	err := q.QueryRow(ctx, b.sql.quickGroup, quickGroupArguments(b.logPerTenant, members)...).
		Scan(&before, &versions, &positions, &made)
	if err != nil || before < 0 { // the log is new
		return err
	}
	for i, a := range members {
		if n := int64(len(a.events)); made[i] {
			a.append(versions[i]+n, before+positions[i]+n)
		}
	}
	return nil
}

// append sets the outcome of a: it was appended.
func (a *appending) append(version, position int64) {
	a.settled = true
	a.appended = store.Appended{Version: uint64(version), Position: uint64(position)} //nolint:gosec // not negative
}

// call makes the appends of members with the database function, and settles them.
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
			return cmp.Or(rows.Err(), errShort)
		}
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		a.settle(&r)
	}
	rows.Close()
	return rows.Err() // the error of the commit, if any
}

var errShort = errors.New("the answer to an append is too short")

// tenantsOf returns the tenants of members, sorted and without duplicates.
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

// newsOf returns the text of a notification: the tenants as JSON, or "", which means
// all tenants, if the text would be too long.
func newsOf(tenants []string) string {
	text, err := json.Marshal(tenants)
	if err != nil || len(text) > maxNews {
		return ""
	}
	return string(text)
}
