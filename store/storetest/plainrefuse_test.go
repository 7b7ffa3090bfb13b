package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// Refuse starts and stops refusing writes.
func (p *plain) Refuse(refused bool) {
	p.refuses.Store(refused)
	if !refused && p.is("refused forever") {
		p.refuses.Store(true)
	}
	if p.is("subscriptions end when writes are refused") && refused {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
	}
}

// refusesToWrite does an append while writes are refused. The caller holds mu.
func (p *plain) refusesToWrite(ctx context.Context, s store.Stream, events []store.Event, claims []store.Claim) (store.Appended, error) {
	switch p.bug {
	case "refused with an untyped error":
		return store.Appended{}, errors.New("disk full")
	case "refused and recorded":
		_, _ = p.record(ctx, s, events)
	case "refused and claimed":
		p.makeClaims(s, claims)
	case "refused ids are reserved":
		for i := range events {
			p.reserved[events[i].ID] = true
		}
	case "refused after a while":
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return store.Appended{}, ctx.Err()
	case "refused without an error":
		return store.Appended{Version: p.version(s) + uint64(len(events))}, nil
	case "a refused stream is created":
		if p.version(s) == 0 {
			p.created[s] = 1
		}
	case "refused streams disappear":
		delete(p.streams, s)
	}
	return store.Appended{}, fmt.Errorf("%w: no space", store.ErrRefused)
}

// refusedBugs returns the bugs that the clauses of RunRefused must find.
func refusedBugs() map[string][]string {
	return map[string][]string{
		"Refused/an append fails at once, definitely, and records nothing": {
			"refused with an untyped error", "refused and recorded", "refused ids are reserved", "refused after a while", "refused without an error",
			"refused streams disappear", "refused forever",
		},
		"Refused/reads continue": {"refused and recorded", "refused streams disappear", "refused with an untyped error"},
		"Refused claims/an append with claims makes no claim": {
			"refused with an untyped error", "refused and recorded", "refused and claimed", "refused ids are reserved", "refused after a while", "refused without an error",
		},
		"Refused transactions/an Update fails at once, definitely, and writes nothing": {
			"refused with an untyped error", "refused without an error", "refused forever", "documents of a failed update are kept", "checkpoints of a failed update are kept",
		},
		"Refused subscriptions/a subscription continues": {"refused with an untyped error", "refused and recorded", "subscriptions end when writes are refused"},
	}
}

func TestPlainRefused(t *testing.T) {
	t.Parallel()
	storetest.RunRefused(t, func(*testing.T) (store.Store, func(bool)) {
		p := newPlain("")
		return p, p.Refuse
	})
}
