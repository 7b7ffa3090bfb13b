package store

import (
	"context"
	"fmt"
)

// Claim takes a unique key for a stream, such as an e-mail address or a seat, or
// gives one back.
type Claim struct {
	// Key is unique in the tenant. So let it begin with its kind, as in
	// "email:ada@example.org". See [ValidateClaims].
	Key string
	// Release gives the key back instead of taking it.
	Release bool
}

// Claims is a store in which an append also takes keys and gives them back. One stream
// of the tenant at most holds a key at a time. Use it for a rule about many streams,
// such as one account for each e-mail address, so that no two concurrent appends can
// break it. It is safe for concurrent use.
type Claims interface {
	// AppendClaiming is [Store.Append] and also takes keys for stream s and gives
	// them back. It records the events and makes the claims together, or does
	// neither.
	//
	// It checks the arguments first, then whether the events are recorded
	// already, then whether an id belongs to another event, then expected, and
	// then the claims. So it answers an append that is sent again as Append
	// does, whoever holds the keys by now, and a *ConflictError comes before a
	// *ClaimedError.
	//
	// To take a key that s holds, or to give back a key that nobody holds, changes nothing
	// and is no error. Taking or giving back a key that another stream holds is a
	// *ClaimedError about the first such claim; it is definite. Claims that break a rule of
	// [ValidateClaims] are an *InvalidError. Without claims it is Append.
	AppendClaiming(ctx context.Context, s Stream, expected Expected, events []Event, claims []Claim) (Appended, error)

	// Holder returns the stream that holds key, and false if none does. It
	// returns an *InvalidError if key breaks a rule of [ValidateKey]. When it
	// returns, the key may already have another holder; to be sure, claim it.
	Holder(ctx context.Context, key string) (Stream, bool, error)
}

// ClaimedError reports an append that was refused because another stream holds a key.
type ClaimedError struct {
	Stream Stream // that was appended to
	Key    string
	Holder Stream // of the key, at the time
}

// Error says which stream, which key and who holds it.
func (e *ClaimedError) Error() string {
	return fmt.Sprintf("store: key is held by another stream: append to %s: key %q is held by %s",
		e.Stream, e.Key, e.Holder)
}

// Is reports whether target is ErrClaimed.
func (e *ClaimedError) Is(target error) bool { return target == ErrClaimed }
