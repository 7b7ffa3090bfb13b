package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// astray selects one call of the stores of a clause, and says what goes wrong with it:
//
//   - lost: a write succeeds, but changes nothing;
//   - kept: a write is refused, but changes the store;
//   - wrong: a read returns something else, or a write another error.
//
// Only such calls count.
type astray struct {
	how string
	at  int // from 1; 0: none

	mu     sync.Mutex
	calls  int  // guarded by mu
	missed bool // guarded by mu; the write to lose overlapped another, and was made
}

// counts counts a call of this kind, and reports whether it is the selected one.
func (a *astray) counts(how string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if how != a.how {
		return false
	}
	a.calls++
	return a.calls == a.at
}

// inTx counts a call of a transaction, and returns its error.
func (a *astray) inTx() error {
	if a.counts("wrong") {
		return errLost
	}
	return nil
}

// loses reports whether the next write that changes something is the selected one.
func (a *astray) loses() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.how == "lost" && a.calls+1 == a.at
}

// miss notes that the selected write was made instead of lost.
func (a *astray) miss() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missed = true
}

// erring is a plain store of which one call goes astray.
type erring struct {
	*plain

	a *astray
}

// write calls do, which writes to a store and reports whether it has changed it. If that
// is the selected write, do writes to a copy, or keep does what was refused. The caller of
// keep holds mu.
func (p *erring) write(do func(q *plain) (changed bool, err error), keep func()) error {
	if p.a.loses() {
		if changed, err := do(p.copied()); changed && err == nil {
			p.a.counts("lost")
			return nil
		}
	}
	changed, err := do(p.plain)
	switch {
	case p.a.counts("wrong"):
		return errLost
	case err == nil && changed:
		if p.a.counts("lost") {
			p.a.miss()
		}
	case err != nil && !errors.Is(err, store.ErrClosed) && p.a.counts("kept"):
		p.mu.Lock()
		defer p.mu.Unlock()
		keep()
	}
	return err
}

func (p *erring) Tenant(id string) (store.Store, error) {
	st, err := p.plain.Tenant(id)
	if of, ok := st.(*plain); ok && err == nil {
		return &erring{of, p.a}, nil
	}
	return st, err
}

func (p *erring) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (got store.Appended, err error) {
	err = p.write(func(q *plain) (_ bool, err error) {
		got, err = q.Append(ctx, s, expected, events)
		return !got.Replayed, err
	}, func() { p.keep(ctx, s, events, nil) })
	return got, err
}

func (p *erring) AppendClaiming(
	ctx context.Context, s store.Stream, expected store.Expected, events []store.Event, claims []store.Claim,
) (got store.Appended, err error) {
	err = p.write(func(q *plain) (_ bool, err error) {
		got, err = q.AppendClaiming(ctx, s, expected, events, claims)
		return !got.Replayed, err
	}, func() { p.keep(ctx, s, events, claims) })
	return got, err
}

// keep makes a refused append. The caller holds mu.
func (p *erring) keep(ctx context.Context, s store.Stream, events []store.Event, claims []store.Claim) {
	p.makeClaims(s, claims)
	if len(events) > 0 {
		_, _ = p.record(ctx, s, events)
	}
}

func (p *erring) SaveSnapshot(ctx context.Context, snap store.Snapshot) (err error) {
	err = p.write(func(q *plain) (bool, error) {
		old, _, _ := q.LoadSnapshot(ctx, snap.Stream, snap.Schema)
		return old.Version <= snap.Version, q.SaveSnapshot(ctx, snap)
	}, func() { p.snapshots[snapshotKey{snap.Stream, snap.Schema}] = snap })
	return err
}

func (p *erring) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) (err error) {
	err = p.write(func(q *plain) (bool, error) {
		return from != to, q.SaveCheckpoint(ctx, name, from, to)
	}, func() { p.checkpoints[name] = to })
	return err
}

func (p *erring) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (lease store.Lease, err error) {
	err = p.write(func(q *plain) (_ bool, err error) {
		lease, err = q.AcquireLease(ctx, name, owner, ttl)
		return true, err
	}, func() {
		p.leases[name] = store.Lease{Name: name, Owner: owner, Fence: p.leases[name].Fence + 1, Until: time.Now().Add(ttl)}
	})
	return lease, err
}

func (p *erring) ReleaseLease(ctx context.Context, lease store.Lease) error {
	return p.write(func(q *plain) (bool, error) {
		q.mu.Lock()
		held := q.leases[lease.Name]
		q.mu.Unlock()
		return held.Owner == lease.Owner && held.Fence == lease.Fence, q.ReleaseLease(ctx, lease)
	}, func() {})
}

func (p *erring) Update(ctx context.Context, do func(tx *plainTx) error) (err error) {
	err = p.write(func(q *plain) (changed bool, _ error) {
		err := q.Update(ctx, func(tx *plainTx) error {
			err := do(tx)
			changed = len(tx.with.log) != len(q.log) || !maps.Equal(tx.with.checkpoints, q.checkpoints) || len(tx.with.docs) != len(q.docs)
			return err
		})
		return changed, err
	}, func() {})
	return err
}

// goesAstray returns the result of a clause on plain stores of which one call goes
// astray, and the number of such calls. If at is 0, all go right.
func goesAstray(clause, how string, at int) (r *recorder, calls int) {
	for range 10 { // again if the write was missed, which is chance
		var missed bool
		r = patiently(func(patience time.Duration) *recorder {
			a := &astray{how: how, at: at}
			open := opens(clause, "")
			r := record(clause, func() store.Store {
				p, _ := open().(*plain)
				p.inTx = a.inTx
				return &erring{p, a}
			}, patience)
			a.mu.Lock()
			defer a.mu.Unlock()
			calls, missed = a.calls, a.missed
			return r
		}, func(r *recorder) bool { return !r.Failed() || 0 < at && at <= calls })
		if !missed {
			break
		}
	}
	return r, calls
}

// TestEveryWrite lets one write of a clause go astray, which a certain assertion of the
// clause must notice.
func TestEveryWrite(t *testing.T) {
	t.Parallel()
	for clause, all := range astrays() {
		for _, bug := range all {
			t.Run(clause+"/finds "+bug, func(t *testing.T) {
				t.Parallel()
				byTheClock(t, clause, func(t *testing.T) {
					t.Helper()
					var at int
					var how string
					if last, ok := strings.CutPrefix(bug, "the last "); ok {
						how = last[strings.LastIndexByte(last, ' ')+1:]
						_, at = goesAstray(clause, how, 0)
					} else if _, err := fmt.Sscanf(bug[strings.IndexByte(bug, ' '):], "%d is %s", &at, &how); err != nil {
						t.Fatal(err)
					}
					if got, made := goesAstray(clause, how, at); !got.Failed() || made < at {
						t.Errorf("the clause did not find the bug, with %d writes of this kind; it said %q", made, got.said())
					}
				})
			})
		}
	}
}

// byTheClock runs check of clause, in a bubble if the clause goes by the clock, which a busy
// machine would disturb.
func byTheClock(t *testing.T, clause string, check func(t *testing.T)) {
	t.Helper()
	if strings.HasPrefix(clause, "Leases/") {
		synctest.Test(t, check)
		return
	}
	check(t)
}

// TestNoPanic checks that a clause says what is missing when a write is lost. A panic would
// end all other tests of the store too.
func TestNoPanic(t *testing.T) {
	t.Parallel()
	for _, clause := range storetest.Clauses() {
		if strings.Contains(clause, " ends") || strings.HasPrefix(clause, "Model/") {
			continue // they take long, and write to many streams
		}
		t.Run(clause, func(t *testing.T) {
			t.Parallel()
			_, writes := goesAstray(clause, "lost", 0)
			for _, at := range []int{1, writes} {
				if got, _ := goesAstray(clause, "lost", at); strings.Contains(got.said(), "panic: ") {
					t.Errorf("write %d of %d is lost: %s", at, writes, got.said())
				}
			}
		})
	}
}

// astrays returns the writes that clauses must notice when they go astray.
func astrays() map[string][]string {
	return map[string][]string{
		"Append/Exactly accepts one version, and a refusal leaves no gap":                 {"refusal 1 is kept", "write 2 is lost"},
		"Append/a refused batch records nothing and reserves no id":                       {"refusal 5 is kept"},
		"Checkpoints/a load returns the saved bytes":                                      {"the last write is lost"},
		"Checkpoints/a save from another checkpoint is a conflict and changes nothing":    {"write 2 is lost"},
		"Checkpoints/a save to the same checkpoint changes nothing":                       {"refusal 1 is kept"},
		"Checkpoints/a save to zero resets it":                                            {"refusal 1 is kept", "write 3 is lost"},
		"Checkpoints/it moves forward, to itself or to zero, with a valid name":           {"refusal 1 is kept"},
		"Checkpoints/names are kept apart, byte for byte":                                 {"write 1 is lost"},
		"Claims/a refused claim leaves no event and no other claim":                       {"refusal 2 is kept"},
		"Claims/a released key can be taken":                                              {"write 2 is lost", "write 9 is lost"},
		"Claims/a repeated append is replayed, whoever holds the keys":                    {"write 3 is lost"},
		"Claims/exactly one of 8 concurrent claimers wins":                                {"refusal 1 is kept"},
		"Claims/invalid claims are refused":                                               {"refusal 1 is kept"},
		"Claims/nothing is claimed with an ended context":                                 {"refusal 1 is kept"},
		"Claims/only the holder can take its key again":                                   {"write 1 is lost"},
		"Contention/appends to different streams never conflict":                          {"the last write is lost"},
		"Contention/appends that expect Any never conflict, and their batches never mix":  {"the last write is lost"},
		"Contention/exactly one of 8 concurrent creates wins":                             {"refusal 7 is kept"},
		"Context/an append with an ended context writes nothing":                          {"refusal 2 is kept"},
		"Finder/streams are listed by type and id, in byte order, with their last events": {"the last write is lost"},
		"Ids/a recorded id is found anywhere in a large batch":                            {"refusal 5 is kept"},
		"Ids/a repeated batch is replayed, whatever it expects":                           {"write 3 is lost"},
		"Invalid/events": {"the last refusal is kept", "write 2 is lost"},
		"Invalid/expected versions, including the zero Expected":                       {"refusal 11 is kept"},
		"Invalid/too much data":                                                        {"refusal 1 is kept"},
		"Leases/a former holder that wakes up late releases nothing":                   {"write 2 is lost"},
		"Leases/only its holder can release it":                                        {"write 2 is lost"},
		"Log/an empty log":                                                             {"refusal 1 is kept"},
		"Refused transactions/an Update fails at once, definitely, and writes nothing": {"write 1 is lost"},
		"Reopened claims/a held key has its holder, and a released key is free":        {"refusal 1 is kept"},
		"Reopened log/every event has its position, and positions continue":            {"write 3 is lost"},
		"Reopened/versions continue":                                                   {"write 2 is lost"},
		"Snapshots/snapshots are never in the streams":                                 {"write 1 is lost", "write 4 is lost"},
		"Tenants/checkpoints are separate":                                             {"write 1 is lost", "write 2 is lost"},
		"Tenants/claims are separate":                                                  {"write 1 is lost", "write 3 is lost"},
		"Tenants/event ids are separate":                                               {"write 1 is lost", "write 2 is lost"},
		"Tenants/leases are separate":                                                  {"refusal 2 is kept", "write 1 is lost", "write 2 is lost"},
		"Tenants/snapshots are separate":                                               {"write 1 is lost", "write 2 is lost"},
		"Tenants/streams with the same name are separate":                              {"write 2 is lost"},
		"Tenants/the same id returns the same tenant":                                  {"write 2 is lost"},
		"Tenants/the store that was opened is the default tenant":                      {"write 2 is lost"},
		"Tenants/writers of two tenants never conflict":                                {"the last write is lost"},
		"Update/a refused call changes nothing, and the transaction can continue":      {"write 3 is lost"},
		"Update/a transaction of a tenant writes nothing of another tenant":            {"write 1 is lost", "write 2 is lost"},
		"Values/values do not change while the stream grows":                           {"write 2 is lost"},
	}
}
