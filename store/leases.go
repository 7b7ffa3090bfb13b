package store

import (
	"context"
	"fmt"
	"time"
)

// Lease is the right to do, alone, what it is called after, until a time.
type Lease struct {
	Name  string
	Owner string
	// Fence numbers those who held the lease of this name, beginning at 1. A
	// later holder has a higher one, always.
	Fence uint64
	// Until is when it runs out, by the store's clock.
	Until time.Time
}

// Leases is a store that grants leases, each to one owner at a time. It is safe
// for concurrent use.
//
// A lease alone does not keep a holder that was paused from going on when it has
// run out: it cannot know yet. What it writes elsewhere is to carry Fence, and be
// refused where a higher one was seen (as in Gray and Cheriton, "Leases", SOSP
// 1989, with the fencing that Chubby calls sequencers, Burrows, OSDI 2006). For
// the checkpoint of a consumer the from of [Checkpoints.SaveCheckpoint] does it.
// A holder that looks at its own clock counts ttl from before it asked.
type Leases interface {
	// AcquireLease takes the lease called name for owner, for ttl from now on
	// the store's clock. If it is free or has run out, Fence is one more than
	// it ever was. If owner holds it, it lasts until ttl from now, be that
	// later or earlier than before, and Fence stays. If another holds it, it
	// is a *LeaseHeldError.
	//
	// It is an *InvalidError if an argument breaks a rule of [ValidateLease].
	// After another error owner may have it, or not.
	AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (Lease, error)

	// ReleaseLease makes lease free if it is still held: by this owner, with
	// this fence. Else it changes nothing, and is no error. It is an
	// *InvalidError if name or owner cannot be those of a lease.
	ReleaseLease(ctx context.Context, lease Lease) error
}

// LeaseHeldError is a lease that was not granted because another owner has it.
type LeaseHeldError struct {
	Name  string
	Owner string    // who has it
	Until time.Time // as long as it is not extended or released, by the store's clock
}

// Error says which lease, who has it and until when.
func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("store: lease is held: %q is held by %q until %s",
		e.Name, e.Owner, e.Until.Format(time.RFC3339Nano))
}

// Is reports whether target is ErrLeaseHeld.
func (e *LeaseHeldError) Is(target error) bool { return target == ErrLeaseHeld }
