package storetest

import (
	"errors"
	"fmt"
	"runtime"
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
		{"the result describes the granted lease", leaseFidelity},
		{"only one owner holds it", leaseExclusive},
		{"its owner can extend it, and the fence stays the same", leaseExtends},
		{"it expires", leaseRunsOut},
		{"its owner can make it shorter", leaseShortens},
		{"an expired lease is granted anew, even to the same owner", leaseAnew},
		{"a released lease is free at once", leaseReleased},
		{"the fence increases with every handover", leaseFences},
		{"only its holder can release it", leaseReleasedByOthers},
		{"a former holder that wakes up late releases nothing", leaseReleasedLate},
		{"names and owners are kept apart, byte for byte", leaseNames},
		{"invalid arguments are refused", leaseInvalid},
		{"one of several concurrent owners holds it at a time", leaseContention},
		{"one of several concurrent owners gets an expired lease", leaseTakeover},
		{"nothing is granted or released with an ended context", leaseEnded},
	}
}

const (
	long  = 24 * time.Hour        // does not expire during the test
	short = 30 * time.Millisecond // expires during the test; no step may have to happen before it does
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

// release releases a lease. It must succeed, whoever holds the lease.
func (t *check) release(st store.Leases, lease store.Lease) {
	t.Helper()
	if err := st.ReleaseLease(t.ctx, lease); err != nil {
		t.Fatalf("ReleaseLease(%+v) failed: %v", lease, err)
	}
}

// wantHeld fails unless the lease held is refused to another owner.
func (t *check) wantHeld(st store.Leases, held store.Lease) {
	t.Helper()
	const other = "somebody else"
	got, err := st.AcquireLease(t.ctx, held.Name, other, long)
	if e := heldError(err); e != nil && e.Name == held.Name && e.Owner == held.Owner &&
		e.Until.Truncate(time.Millisecond).Equal(held.Until.Truncate(time.Millisecond)) {
		return
	}
	t.Fatalf("%s, held as %+v = %+v, %s; want a *LeaseHeldError with these values that matches ErrLeaseHeld",
		leaseCall(held.Name, other, long), held, got, answer(err))
}

// heldError returns err as a *LeaseHeldError, or nil if it is not one.
func heldError(err error) *store.LeaseHeldError {
	var held *store.LeaseHeldError
	if errors.As(err, &held) && errors.Is(err, store.ErrLeaseHeld) {
		return held
	}
	return nil
}

// soon acquires a lease that has had one owner and is about to expire, which must be
// granted in time.
func (t *check) soon(st store.Leases, name, owner string) store.Lease {
	t.Helper()
	deadline := time.Now().Add(t.patience)
	for {
		got, err := st.AcquireLease(t.ctx, name, owner, long)
		switch {
		case err == nil && got.Fence == 2 && got.Owner == owner:
			return got
		case err == nil || heldError(err) == nil:
			t.Fatalf("%s = %+v, %s; want it granted with fence 2 as soon as it has expired", leaseCall(name, owner, long), got, answer(err))
		case time.Now().After(deadline):
			t.Fatalf("%s is still refused %s after a shorter lease was granted: %v", leaseCall(name, owner, long), t.patience, err)
		}
		_ = pause(t.ctx, short/10)
	}
}

// outlast waits until every lease that was granted for ttl before has expired. It waits
// as long as a lease takes that is granted now.
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
	const apart = time.Hour // allowed difference between the clocks of store and client
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
	t.acquire(st, name, "a", long, 1) // refused calls have changed nothing
}

func leaseExtends(t *check) {
	st := t.leases()
	lease, ttl := t.extended(st)
	for deadline := time.Now().Add(t.patience); ; { // a clock may be coarse
		again := t.acquire(st, lease.Name, lease.Owner, long, 1)
		if again.Until.Before(lease.Until) || time.Now().After(deadline) {
			t.Fatalf("%s again = until %s, but it was until %s before", leaseCall(lease.Name, lease.Owner, long), again.Until, lease.Until)
		}
		later := again.Until.After(lease.Until)
		if lease = again; later {
			break
		}
		_ = pause(t.ctx, time.Millisecond)
	}
	t.outlast(st, ttl) // the original ttl
	t.wantHeld(st, lease)
}

// extended returns a lease that was granted for ttl and extended before it expired. On
// a slow machine, it uses a longer ttl.
func (t *check) extended(st store.Leases) (lease store.Lease, ttl time.Duration) {
	t.Helper()
	for ttl = short; ; ttl *= 2 {
		first := t.acquire(st, newLease(), "a", ttl, 1)
		lease, err := st.AcquireLease(t.ctx, first.Name, "a", long)
		switch {
		case err != nil:
			t.Fatalf("%s by its owner failed: %v", leaseCall(first.Name, "a", long), err)
		case lease.Fence == first.Fence && lease.Until.After(first.Until):
			return lease, ttl
		case lease.Fence == first.Fence:
			t.Fatalf("%s again = until %s, but it was until %s before", leaseCall(first.Name, "a", long), lease.Until, first.Until)
		case ttl > t.patience:
			t.Fatalf("%s by the owner that just got it for %s = %+v, want fence 1", leaseCall(first.Name, "a", long), ttl, lease)
		}
	}
}

func leaseRunsOut(t *check) {
	st, name := t.leases(), newLease()
	t.acquire(st, name, "a", short, 1)
	lease := t.soon(st, name, "b")
	t.wantHeld(st, lease)
	if got, err := st.AcquireLease(t.ctx, name, "a", long); heldError(err) == nil {
		t.Fatalf("%s by the previous owner = %+v, %s; want a *LeaseHeldError", leaseCall(name, "a", long), got, answer(err))
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
	t.release(st, store.Lease{Name: name, Owner: "a", Fence: 1}) // Until does not matter
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
	for _, name := range fresh(tag) { // owners that differ from the holder in one letter
		lease := t.acquire(st, name, name, long, 1)
		for _, owner := range []string{name + " ", " " + name, strings.ToUpper(name), strings.ToLower(name), name + "\u0301", name[:len(name)-1], strings.ReplaceAll(name, "\u00e9", "e\u0301")} {
			if owner == name || store.ValidateLeaseOwner(name, owner) != nil {
				continue
			}
			if got, err := st.AcquireLease(t.ctx, name, owner, long); heldError(err) == nil {
				t.Fatalf("%s, held by %+.100q = %+v, %s; want a *LeaseHeldError", leaseCall(name, owner, long), lease.Owner, got, answer(err))
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
			t.wantInvalid("ReleaseLease with an invalid "+field, st.ReleaseLease(t.ctx, lease), field)
		}
	}
	refused(name, "a", 0, "ttl")
	refused(name, "a", -time.Second, "ttl")
	t.acquire(st, name, "b", long, 1)
}

// leaseContention makes owners compete for a lease. Nobody may get it before it is
// released, and every holder must get a new fence.
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
			return false, fmt.Errorf("%s, concurrently with others: %w", leaseCall(name, owner, long), err)
		}
		if n := holders.Add(1); n != 1 {
			return false, fmt.Errorf("%s = %+v, but now %d owners hold it at the same time", leaseCall(name, owner, long), lease, n)
		}
		for range 20 { // gives the others time
			runtime.Gosched()
		}
		if before := last.Swap(lease.Fence); lease.Fence != before+1 {
			return false, fmt.Errorf("%s = fence %d, but the previous one was %d", leaseCall(name, owner, long), lease.Fence, before)
		}
		holders.Add(-1)
		if err := st.ReleaseLease(t.ctx, lease); err != nil {
			return false, fmt.Errorf("ReleaseLease(%+v), concurrently with others: %w", lease, err)
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
				return fmt.Errorf("%s of an expired lease, concurrently with others = %+v, %s; want fence 2 or a *LeaseHeldError",
					leaseCall(name, owner, long), got, answer(err))
			}
			return nil
		})
		if n := granted.Load(); n != 1 {
			t.Fatalf("%[2]d of %[1]d concurrent owners got an expired lease, want 1", owners, n)
		}
	}
}

func leaseEnded(t *check) {
	st := t.leases()
	for cause, ctx := range t.ended() {
		name := newLease()
		if _, err := st.AcquireLease(ctx, name, "a", long); !errors.Is(err, cause) {
			t.Fatalf("%s with an ended context = %s, want %v", leaseCall(name, "a", long), answer(err), cause)
		}
		lease := t.acquire(st, name, "b", long, 1)
		if err := st.ReleaseLease(ctx, lease); !errors.Is(err, cause) {
			t.Fatalf("ReleaseLease(%+v) with an ended context = %s, want %v", lease, answer(err), cause)
		}
		t.wantHeld(st, lease)
	}
}
