package store

import (
	"context"
	"fmt"
)

// Claim takes a unique key for a stream, such as an e-mail address or a seat, or
// releases one.
type Claim struct {
	// Key is unique in the tenant, so start it with its kind, as in
	// "email:ada@example.org". See [ValidateClaims].
	Key string
	// Release releases the key instead of taking it.
	Release bool
}

// Claims is a store in which an append can also take and release keys. At most one
// stream of the tenant holds a key at a time. Use it for a rule that spans streams,
// such as one account per e-mail address, so that no two concurrent appends can break
// it. It is safe for concurrent use.
type Claims interface {
	// AppendClaiming is [Store.Append] that also takes and releases keys for stream s. It
	// records the events and makes the claims together, or does neither.
	//
	// It checks the arguments first, then whether the events are already recorded, then
	// whether an id belongs to another event, then expected, and then the claims. So a
	// retried append gets the same answer as from Append, whoever holds the keys by now,
	// and a *ConflictError comes before a *ClaimedError.
	//
	// Taking a key that s already holds, or releasing a key that no stream holds, changes
	// nothing and is not an error. Taking or releasing a key that another stream holds
	// returns a *ClaimedError about the first such claim; it is definite. Claims that
	// break a rule of [ValidateClaims] return an *InvalidError. Without claims,
	// AppendClaiming is Append.
	AppendClaiming(ctx context.Context, s Stream, expected Expected, events []Event, claims []Claim) (Appended, error)

	// Holder returns the stream that holds key, and false if none does. It returns an
	// *InvalidError if key breaks a rule of [ValidateKey]. By the time it returns, another
	// stream may hold the key; to be sure, claim it.
	Holder(ctx context.Context, key string) (Stream, bool, error)
}

// ClaimedError reports an append that was refused because another stream holds a key.
type ClaimedError struct {
	Stream Stream // the stream of the append
	Key    string
	Holder Stream // the stream that held the key at the time
}

// Error returns a message with the stream, the key and its holder.
func (e *ClaimedError) Error() string {
	return fmt.Sprintf("store: key is held by another stream: append to %s: key %q is held by %s",
		e.Stream, e.Key, e.Holder)
}

// Is reports whether target is ErrClaimed.
func (e *ClaimedError) Is(target error) bool { return target == ErrClaimed }
