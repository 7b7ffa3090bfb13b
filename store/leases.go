package store

import (
	"context"
	"fmt"
	"time"
)

// Lease is the exclusive right, until a certain time, to do what its name says.
type Lease struct {
	Name  string
	Owner string
	// Fence numbers the successive holders of the lease called Name, beginning at 1. A
	// later holder always has a higher number.
	Fence uint64
	// Until is when the lease expires, by the store's clock.
	Until time.Time
}

// Leases is a store that grants leases, each to one owner at a time. It is safe for
// concurrent use.
//
// A lease alone does not stop a holder that was paused and continues after its lease
// has expired, because the holder does not know that yet. So include Fence in
// everything that a holder writes elsewhere, and let the receiver refuse a write whose
// Fence is lower than one it has seen (see Gray and Cheriton, "Leases", SOSP 1989, and
// the sequencers of Chubby, Burrows, OSDI 2006). For the checkpoint of a consumer, the
// argument from of [Checkpoints.SaveCheckpoint] does this. A holder that relies on its
// own clock must count ttl from before it asked for the lease.
type Leases interface {
	// AcquireLease grants the lease called name to owner, for ttl from now by the store's
	// clock. If the lease is free or has expired, Fence is one more than the highest so
	// far. If owner already holds it, it now ends ttl from now, whether that is later or
	// earlier than before, and Fence stays the same. If another owner holds it,
	// AcquireLease returns a *LeaseHeldError.
	//
	// It returns an *InvalidError if an argument breaks a rule of [ValidateLease]. After
	// any other error, owner may or may not have the lease.
	AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (Lease, error)

	// ReleaseLease frees the lease if its owner still holds it with its fence. Otherwise
	// it changes nothing and returns nil. It returns an *InvalidError if no lease can have
	// this name or owner.
	ReleaseLease(ctx context.Context, lease Lease) error
}

// LeaseHeldError reports a lease that was not granted because another owner holds it.
type LeaseHeldError struct {
	Name  string
	Owner string    // the current holder
	Until time.Time // when it expires by the store's clock, unless it is extended or released
}

// Error returns a message with the lease, its holder and its expiry.
func (e *LeaseHeldError) Error() string {
	return fmt.Sprintf("store: lease is held: %q is held by %q until %s",
		e.Name, e.Owner, e.Until.Format(time.RFC3339Nano))
}

// Is reports whether target is ErrLeaseHeld.
func (e *LeaseHeldError) Is(target error) bool { return target == ErrLeaseHeld }
