package store

import (
	"context"
	"fmt"
)

// Claim takes a unique key for a stream, such as an e-mail address or a seat, or
// gives one back.
type Claim struct {
	// Key is unique in the tenant, so it begins with what it is a key of, such
	// as "email:ada@example.org". See [ValidateClaims].
	Key string
	// Release gives the key back, in place of taking it.
	Release bool
}

// Claims is a store in which an append also takes and gives back keys, each of
// which one stream of the tenant holds at a time. It is how a rule over many
// streams, such as one account for each e-mail address, is kept without a window
// in which two appends break it. It is safe for concurrent use.
type Claims interface {
	// AppendClaiming is [Store.Append] that also takes, and gives back, keys
	// for stream s: the events are recorded and the claims made together, or
	// neither.
	//
	// Arguments are looked at first, then whether the events are recorded
	// already, then ids that are taken otherwise, then expected, then claims.
	// So an append that is sent again is answered as by Append, whoever holds
	// the keys by now, and a *ConflictError comes before a *ClaimedError.
	//
	// Taking a key that s holds, and giving back one that nobody holds, changes
	// nothing and is no error. Taking or giving back one that another stream
	// holds is a *ClaimedError, of the first such claim; it is definite. Claims
	// that break a rule of [ValidateClaims] are an *InvalidError. Without claims
	// it is Append.
	AppendClaiming(ctx context.Context, s Stream, expected Expected, events []Event, claims []Claim) (Appended, error)

	// Holder returns the stream that holds key, and false if none does. A key
	// that breaks a rule of [ValidateKey] is an *InvalidError. By the time that
	// it returns the key may have another holder: to be sure, claim it.
	Holder(ctx context.Context, key string) (Stream, bool, error)
}

// ClaimedError is an append that was refused because another stream holds a key.
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
