package storetest

import (
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// updateReads applies to transactions that are a [store.ReadTx].
func updateReads(t *check) {
	old, before := t.filled(t.store, "read in a transaction", 4)
	fresh, appended := newStream("read in a transaction"), newEvents(5)
	all := map[store.Stream][]store.Event{old: append(before, appended[:2]...), fresh: appended[2:], newStream("missing"): nil}
	var wrong error
	reads := true
	t.update(t.store, func(tx store.Tx) error {
		var r store.ReadTx
		if r, reads = tx.(store.ReadTx); !reads {
			return nil
		}
		_, first := tx.Append(old, store.Exactly(4), appended[:2])
		_, second := tx.Append(fresh, store.NoStream, appended[2:])
		for s, want := range all {
			for _, o := range []store.ReadOptions{{}, {Limit: 2}, {From: 2, Limit: 3}, {From: 99}, {Backward: true}, {Backward: true, From: 3, Limit: 2}, {Backward: true, From: 99}} {
				wrong = errors.Join(wrong, readsPages(r, s, o, want))
			}
		}
		_, stream := r.Read(store.Stream{Type: "no id"}, store.ReadOptions{})
		_, limit := r.Read(old, store.ReadOptions{Limit: -1})
		if !errors.Is(stream, store.ErrInvalid) || !errors.Is(limit, store.ErrInvalid) {
			wrong = errors.Join(wrong, fmt.Errorf("reads of a stream without an id, and with a negative limit = %s, %s; want an *InvalidError", answer(stream), answer(limit)))
		}
		return errors.Join(first, second)
	})
	if !reads {
		t.Skip("the transactions of this store are not a store.ReadTx")
	}
	if wrong != nil {
		t.Fatalf("in a transaction: %v", wrong)
	}
	for s, want := range all {
		t.wantStream(t.store, s, want)
	}
}

// readsPages returns what is wrong with the pages of s from o on; all are the events of
// s.
func readsPages(r store.ReadTx, s store.Stream, o store.ReadOptions, all []store.Event) error {
	for {
		page, err := r.Read(s, o)
		if err != nil {
			return fmt.Errorf("%s failed: %w", judge.ReadCall(s, o), err)
		}
		if diff := judge.Page(o, uint64(len(all)), &page); diff != "" {
			return fmt.Errorf("%s at version %d: %s", judge.ReadCall(s, o), len(all), diff)
		}
		for i := range page.Events {
			e := &page.Events[i]
			if diff := differ(e, s, e.Version, &all[e.Version-1]); diff != "" {
				return fmt.Errorf("%s: version %d: %s", judge.ReadCall(s, o), e.Version, diff)
			}
		}
		if page.End {
			return nil
		}
		o.From = page.Next
	}
}
