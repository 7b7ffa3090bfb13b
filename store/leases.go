package store

import (
	"context"
	"fmt"
	"time"
)

// Lease is the exclusive right to do what its name says, until a certain time.
type Lease struct {
	Name  string
	Owner string
	// Fence numbers the holders of the lease of this name, beginning at 1. A
	// later holder always has a higher number.
	Fence uint64
	// Until is when the lease expires, by the store's clock.
	Until time.Time
}

// Leases is a store that grants leases, each to one owner at a time. It is safe
// for concurrent use.
//
// A lease alone does not stop a holder that was paused and goes on after the lease has
// expired, because the holder does not know yet. So whatever a holder writes elsewhere
// should carry Fence, and whoever receives it should refuse it after a higher Fence (see
// Gray and Cheriton, "Leases", SOSP 1989, and the sequencers of Chubby, Burrows, OSDI
// 2006). For the checkpoint of a consumer, the argument from of
// [Checkpoints.SaveCheckpoint] does this. A holder that uses its own clock must count
// ttl from before it asked for the lease.
type Leases interface {
	// AcquireLease grants the lease called name to owner, for ttl from now by the
	// store's clock. If the lease is free or has expired, Fence is one more than
	// it ever was. If owner holds it, it now ends ttl from now, whether that is
	// later or earlier than before, and Fence stays. If another owner holds it,
	// AcquireLease returns a *LeaseHeldError.
	//
	// It returns an *InvalidError if an argument breaks a rule of
	// [ValidateLease]. After any other error, owner may have the lease or not.
	AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (Lease, error)

	// ReleaseLease makes the lease free if its owner still holds it with its
	// fence. Otherwise it changes nothing and returns nil. It returns an
	// *InvalidError if the name or the owner cannot be those of a lease.
	ReleaseLease(ctx context.Context, lease Lease) error
}

// LeaseHeldError reports a lease that was not granted because another owner has it.
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
