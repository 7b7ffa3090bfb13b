package storetest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
)

// strict is a store that refuses large batches and values.
type strict struct {
	*plain

	err   error
	keeps bool // a bug: it records what it refuses
}

func (p strict) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	valued := slices.ContainsFunc(events, func(e store.Event) bool { return e.Value != nil })
	if len(events) < 1000 && !valued {
		return p.plain.Append(ctx, s, expected, events)
	}
	if p.keeps {
		_, _ = p.plain.Append(ctx, s, expected, events)
	}
	return store.Appended{}, p.err
}

// TestStrict checks that a store may refuse large batches and values as invalid.
func TestStrict(t *testing.T) {
	t.Parallel()
	invalid := &store.InvalidError{Field: "events", Reason: "cannot be stored"}
	for _, clause := range []string{"Fidelity/a batch of 1000 comes back or is refused as invalid", "Fidelity/a value comes back or is refused as invalid"} {
		for _, tt := range []struct {
			err   error
			keeps bool
			right bool
		}{{invalid, false, true}, {invalid, true, false}, {errLost, false, false}} {
			got := record(clause, func() store.Store { return strict{newPlain(""), tt.err, tt.keeps} }, time.Minute)
			if got.Failed() == tt.right {
				t.Errorf("%s, of a store that refuses with %v, and records: %t: it says %q", clause, tt.err, tt.keeps, got.said())
			}
		}
	}
}
