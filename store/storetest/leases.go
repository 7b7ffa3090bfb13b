package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

func hasLeases(st store.Store) bool {
	_, ok := st.(store.Leases)
	return ok
}

func leaseClauses() []clause {
	return []clause{
		{"the answer describes the lease that was granted", leaseFidelity},
		{"only one owner has it", leaseExclusive},
		{"its owner can extend it, and the fence stays", leaseExtends},
		{"it expires", leaseRunsOut},
		{"its owner can make it shorter", leaseShortens},
		{"a lease that has run out is granted anew, even to the same owner", leaseAnew},
		{"a released lease is free at once", leaseReleased},
		{"the fence rises over every handover", leaseFences},
		{"only its holder can release it", leaseReleasedByOthers},
		{"a former holder who wakes up late releases nothing", leaseReleasedLate},
		{"names and owners are kept apart, byte for byte", leaseNames},
		{"invalid ones are refused", leaseInvalid},
		{"one of several concurrent owners has it at a time", leaseContention},
		{"one of several concurrent owners gets a lease that has run out", leaseTakeover},
		{"under a context that has ended nothing is granted or released", leaseEnded},
	}
}

const (
	long  = 24 * time.Hour        // does not run out
	short = 30 * time.Millisecond // runs out; nothing may need to happen before it has
)

func (t *check) leases() store.Leases { return as[store.Leases](t, t.store) }

func newLease() string { return "lease " + store.NewID() }

func leaseCall(name, owner string, ttl time.Duration) string {
	return fmt.Sprintf("AcquireLease(%+.100q, %+.100q, %s)", name, owner, ttl)
}

// acquire acquires a lease, which must be granted with this fence.
func (t *check) acquire(st store.Leases, name, owner string, ttl time.Duration, fence uint64) store.Lease {
	t.Helper()
	got, err := st.AcquireLease(t.ctx, name, owner, ttl)
	if err != nil {
		t.Fatalf("%s failed: %v", leaseCall(name, owner, ttl), err)
	}
	if want := (store.Lease{Name: name, Owner: owner, Fence: fence, Until: got.Until}); got != want {
		t.Fatalf("%s = %+q, want %+q", leaseCall(name, owner, ttl), fmt.Sprint(got), fmt.Sprint(want))
	}
	return got
}

// release releases a lease, which must succeed, whoever has it.
func (t *check) release(st store.Leases, lease store.Lease) {
	t.Helper()
	if err := st.ReleaseLease(t.ctx, lease); err != nil {
		t.Fatalf("ReleaseLease(%+v) failed: %v", lease, err)
	}
}

// wantHeld fails unless another owner is refused the lease that is held.
func (t *check) wantHeld(st store.Leases, held store.Lease) {
	t.Helper()
	const other = "somebody else"
	got, err := st.AcquireLease(t.ctx, held.Name, other, long)
	if e := heldError(err); e != nil && e.Name == held.Name && e.Owner == held.Owner &&
		e.Until.Truncate(time.Millisecond).Equal(held.Until.Truncate(time.Millisecond)) {
		return
	}
	t.Fatalf("%s, which %+v holds = %+v, %s; want a *LeaseHeldError that matches ErrLeaseHeld and says so",
		leaseCall(held.Name, other, long), held, got, answer(err))
}

// heldError returns err as a *LeaseHeldError, nil if it is none.
func heldError(err error) *store.LeaseHeldError {
	var held *store.LeaseHeldError
	if errors.As(err, &held) && errors.Is(err, store.ErrLeaseHeld) {
		return held
	}
	return nil
}

// soon acquires a lease that has had one owner and is about to run out, which must
// be granted in time.
func (t *check) soon(st store.Leases, name, owner string) store.Lease {
	t.Helper()
	deadline := time.Now().Add(t.patience)
	for {
		got, err := st.AcquireLease(t.ctx, name, owner, long)
		switch {
		case err == nil && got.Fence == 2 && got.Owner == owner:
			return got
		case err == nil || heldError(err) == nil:
			t.Fatalf("%s = %+v, %s; want it granted with fence 2 as soon as it has run out", leaseCall(name, owner, long), got, answer(err))
		case time.Now().After(deadline):
			t.Fatalf("%s is refused %s after a shorter lease was granted: %v", leaseCall(name, owner, long), t.patience, err)
		}
		_ = pause(t.ctx, short/10)
	}
}

// outlast returns when every lease that was granted for ttl before has run out:
// as long as it takes for one that is granted now.
func (t *check) outlast(st store.Leases, ttl time.Duration) {
	t.Helper()
	name := newLease()
	t.acquire(st, name, "clock", ttl, 1)
	t.soon(st, name, "watcher")
}

func leaseFidelity(t *check) {
	st, name := t.leases(), newLease()
	before := time.Now()
	got := t.acquire(st, name, "a", long, 1)
	const apart = time.Hour // of the clocks of store and client
	if after := time.Now(); got.Until.Before(before.Add(long-apart)) || got.Until.After(after.Add(long+apart)) {
		t.Fatalf("%s at %s = until %s, want about %s", leaseCall(name, "a", long), before, got.Until, before.Add(long))
	}
}

func leaseExclusive(t *check) {
	st, name := t.leases(), newLease()
	lease := t.acquire(st, name, "a", long, 1)
	for range 3 {
		t.wantHeld(st, lease)
	}
	t.acquire(st, name, "a", long, 1) // those who were refused have changed nothing
}

func leaseExtends(t *check) {
	st := t.leases()
	lease, ttl := t.extended(st)
	for deadline := time.Now().Add(t.patience); ; { // a clock may be coarse
		again := t.acquire(st, lease.Name, lease.Owner, long, 1)
		if again.Until.Before(lease.Until) || time.Now().After(deadline) {
			t.Fatalf("%s again = until %s, and before it was until %s", leaseCall(lease.Name, lease.Owner, long), again.Until, lease.Until)
		}
		later := again.Until.After(lease.Until)
		if lease = again; later {
			break
		}
		_ = pause(t.ctx, time.Millisecond)
	}
	t.outlast(st, ttl) // what it was at first
	t.wantHeld(st, lease)
}

// extended returns a lease that was granted for ttl, and was extended before it had run
// out: on a slow machine one that was granted for longer.
func (t *check) extended(st store.Leases) (lease store.Lease, ttl time.Duration) {
	t.Helper()
	for ttl = short; ; ttl *= 2 {
		first := t.acquire(st, newLease(), "a", ttl, 1)
		lease, err := st.AcquireLease(t.ctx, first.Name, "a", long)
		switch {
		case err != nil:
			t.Fatalf("%s of who has it failed: %v", leaseCall(first.Name, "a", long), err)
		case lease.Fence == first.Fence && lease.Until.After(first.Until):
			return lease, ttl
		case lease.Fence == first.Fence:
			t.Fatalf("%s again = until %s, and before it was until %s", leaseCall(first.Name, "a", long), lease.Until, first.Until)
		case ttl > t.patience:
			t.Fatalf("%s of who got it for %s at once before = %+v, want fence 1", leaseCall(first.Name, "a", long), ttl, lease)
		}
	}
}

func leaseRunsOut(t *check) {
	st, name := t.leases(), newLease()
	t.acquire(st, name, "a", short, 1)
	lease := t.soon(st, name, "b")
	t.wantHeld(st, lease)
	if got, err := st.AcquireLease(t.ctx, name, "a", long); heldError(err) == nil {
		t.Fatalf("%s of who had it before = %+v, %s; want a *LeaseHeldError", leaseCall(name, "a", long), got, answer(err))
	}
}

func leaseShortens(t *check) {
	st, name := t.leases(), newLease()
	t.acquire(st, name, "a", long, 1)
	t.acquire(st, name, "a", short, 1)
	t.soon(st, name, "b")
}

func leaseAnew(t *check) {
	st, name := t.leases(), newLease()
	t.acquire(st, name, "a", short, 1)
	t.outlast(st, short)
	lease := t.acquire(st, name, "a", long, 2)
	t.wantHeld(st, lease)
}

func leaseReleased(t *check) {
	st, name := t.leases(), newLease()
	for fence := uint64(1); fence < 6; fence += 2 {
		t.release(st, t.acquire(st, name, "a", long, fence))
		t.release(st, t.acquire(st, name, "b", long, fence+1))
	}
}

func leaseFences(t *check) {
	st, name := t.leases(), newLease()
	fence := uint64(0)
	next := func(owner string, ttl time.Duration) store.Lease {
		t.Helper()
		fence++
		return t.acquire(st, name, owner, ttl, fence)
	}
	t.release(st, next("a", long))
	next("b", short)
	t.outlast(st, short)
	t.release(st, next("b", long))
	stale := next("c", short)
	t.outlast(st, short)
	t.release(st, stale)
	next("c", short)
	t.outlast(st, short)
	t.wantHeld(st, next("a", long))
}

func leaseReleasedByOthers(t *check) {
	st, name := t.leases(), newLease()
	lease := t.acquire(st, name, "a", long, 1)
	for _, change := range []func(*store.Lease){
		func(l *store.Lease) { l.Owner = "b" },
		func(l *store.Lease) { l.Owner = "A" },
		func(l *store.Lease) { l.Fence = 0 },
		func(l *store.Lease) { l.Fence = 2 },
		func(l *store.Lease) { l.Fence = 1<<64 - 1 },
		func(l *store.Lease) { l.Name = newLease() },
	} {
		other := lease
		change(&other)
		t.release(st, other)
		t.wantHeld(st, lease)
	}
	t.release(st, store.Lease{Name: name, Owner: "a", Fence: 1}) // Until does not count
	lease = t.acquire(st, name, "b", long, 2)
	t.wantHeld(st, lease)
}

func leaseReleasedLate(t *check) {
	st, name := t.leases(), newLease()
	first := t.acquire(st, name, "a", short, 1)
	second := t.soon(st, name, "b")
	t.release(st, first)
	t.wantHeld(st, second)
	t.release(st, second)
	third := t.acquire(st, name, "a", long, 3) // the same owner, with another fence
	t.release(st, first)
	t.release(st, second)
	t.wantHeld(st, third)
}

func leaseNames(t *check) {
	st, tag := t.leases(), newTag()
	granted := make(map[string]store.Lease)
	for _, name := range fresh(tag) {
		granted[name] = t.acquire(st, name, name, long, 1)
	}
	for _, lease := range granted {
		t.wantHeld(st, lease)
	}
	for _, name := range fresh(tag) { // owners that differ in a letter from who has it
		lease := t.acquire(st, name, name, long, 1)
		for _, owner := range []string{name + " ", " " + name, strings.ToUpper(name), strings.ToLower(name), name + "\u0301", name[:len(name)-1], strings.ReplaceAll(name, "\u00e9", "e\u0301")} {
			if owner == name || store.ValidateLeaseOwner(name, owner) != nil {
				continue
			}
			if got, err := st.AcquireLease(t.ctx, name, owner, long); heldError(err) == nil {
				t.Fatalf("%s, which %+.100q holds = %+v, %s; want a *LeaseHeldError", leaseCall(name, owner, long), lease.Owner, got, answer(err))
			}
		}
	}
}

func leaseInvalid(t *check) {
	st, name := t.leases(), newLease()
	refused := func(name, owner string, ttl time.Duration, field string) {
		t.Helper()
		_, err := st.AcquireLease(t.ctx, name, owner, ttl)
		t.wantInvalid(leaseCall(name, owner, ttl), err, field)
	}
	for _, bad := range badNames() {
		refused(bad.text, "a", long, "name")
		refused(name, bad.text, long, "owner")
		for field, lease := range map[string]store.Lease{
			"name":  {Name: bad.text, Owner: "a", Fence: 1},
			"owner": {Name: name, Owner: bad.text, Fence: 1},
		} {
			t.wantInvalid("ReleaseLease with a bad "+field, st.ReleaseLease(t.ctx, lease), field)
		}
	}
	refused(name, "a", 0, "ttl")
	refused(name, "a", -time.Second, "ttl")
	t.acquire(st, name, "b", long, 1)
}

// leaseContention lets owners take the lease from one another: nobody gets it
// before it was given back, and every one with a fence of its own.
func leaseContention(t *check) {
	const owners = 8
	st, name := t.leases(), newLease()
	each := t.times(10)
	var holders atomic.Int64
	var last atomic.Uint64 // fence
	t.contend(owners, each, func(i int) (won bool, err error) {
		owner := fmt.Sprint("owner ", i)
		lease, err := st.AcquireLease(t.ctx, name, owner, long)
		switch {
		case errors.Is(err, store.ErrLeaseHeld):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("%s, at once with others: %w", leaseCall(name, owner, long), err)
		}
		if n := holders.Add(1); n != 1 {
			return false, fmt.Errorf("%s = %+v, and then %d owners have it at once", leaseCall(name, owner, long), lease, n)
		}
		if before := last.Swap(lease.Fence); lease.Fence != before+1 {
			return false, fmt.Errorf("%s = fence %d, and the one before was %d", leaseCall(name, owner, long), lease.Fence, before)
		}
		holders.Add(-1)
		if err := st.ReleaseLease(t.ctx, lease); err != nil {
			return false, fmt.Errorf("ReleaseLease(%+v), at once with others: %w", lease, err)
		}
		return true, nil
	})
}

func leaseTakeover(t *check) {
	const owners = 8
	st := t.leases()
	for range t.times(10) {
		name := newLease()
		t.acquire(st, name, "before", short, 1)
		t.outlast(st, short)
		var granted atomic.Int64
		t.together(owners, func(i int) error {
			owner := fmt.Sprint("owner ", i)
			got, err := st.AcquireLease(t.ctx, name, owner, long)
			switch {
			case err == nil && got.Fence == 2:
				granted.Add(1)
				return nil
			case err == nil || heldError(err) == nil:
				return fmt.Errorf("%s of one that has run out, at once with others = %+v, %s; want fence 2 or a *LeaseHeldError",
					leaseCall(name, owner, long), got, answer(err))
			}
			return nil
		})
		if n := granted.Load(); n != 1 {
			t.Fatalf("of %d concurrent owners %d got a lease that had run out, want 1", owners, n)
		}
	}
}

func leaseEnded(t *check) {
	st := t.leases()
	for cause, ctx := range t.ended() {
		name := newLease()
		if _, err := st.AcquireLease(ctx, name, "a", long); !errors.Is(err, cause) {
			t.Fatalf("%s under a context that has ended = %s, want %v", leaseCall(name, "a", long), answer(err), cause)
		}
		lease := t.acquire(st, name, "b", long, 1)
		if err := st.ReleaseLease(ctx, lease); !errors.Is(err, cause) {
			t.Fatalf("ReleaseLease(%+v) under a context that has ended = %s, want %v", lease, answer(err), cause)
		}
		t.wantHeld(st, lease)
	}
}
