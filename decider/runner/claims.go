package runner

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/store"
)

// WithClaims returns a copy of r that takes and gives back the unique keys that
// claims returns for each event, together with the event: an account that is
// opened takes its e-mail address, say, and gives it back when it is closed. If
// another stream holds a key the command ends with an error that is a
// *[store.ClaimedError]; nothing is appended, and it is not tried again. Of several
// claims on one key by the events of a command the last one counts.
//
// The claims function must be pure, and safe for concurrent use. WithClaims panics
// if it is nil, or if the store is no [store.Claims].
func (r *Runner[C, S, E]) WithClaims(claims func(id string, event E) []store.Claim) *Runner[C, S, E] {
	if claims == nil {
		panic("runner: WithClaims: claims must not be nil")
	}
	claimer, ok := r.store.(store.Claims)
	if !ok {
		panic(fmt.Sprintf("runner: WithClaims: a %T cannot claim keys", r.store))
	}
	c := *r
	c.claims, c.claimer = claims, claimer
	return &c
}

// addClaims adds the claims of events to those that dst has.
func (r *Runner[C, S, E]) addClaims(dst []store.Claim, s store.Stream, events []E) []store.Claim {
	if r.claims == nil {
		return dst
	}
	at := make(map[string]int, len(dst))
	for i, c := range dst {
		at[c.Key] = i
	}
	for i := range events {
		for _, c := range r.claims(s.ID, events[i]) {
			if j, ok := at[c.Key]; ok {
				dst[j] = c
				continue
			}
			at[c.Key] = len(dst)
			dst = append(dst, c)
		}
	}
	return dst
}

// append is Append of the store, with claims if there are any.
func (r *Runner[C, S, E]) append(
	ctx context.Context, s store.Stream, base uint64, events []store.Event, claims []store.Claim,
) (store.Appended, error) {
	if len(claims) == 0 {
		return r.store.Append(ctx, s, store.Exactly(base), events)
	}
	return r.claimer.AppendClaiming(ctx, s, store.Exactly(base), events, claims)
}
