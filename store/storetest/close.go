package storetest

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/evolvego/evolve/store"
)

func canClose(st store.Store) bool {
	_, ok := st.(io.Closer)
	return ok
}

func closeClauses() []clause {
	return []clause{
		{"can be called again, even concurrently", closeAgain},
		{"every later call returns ErrClosed", closeRefuses},
		{"subscriptions end with ErrClosed", closeEndsSubscriptions},
		{"concurrent appends are recorded or return ErrClosed", closeWhileAppending},
	}
}

// close closes st. It fails if Close returns an error or takes too long.
func (t *check) close(st store.Store) {
	t.Helper()
	t.inTime("Close", as[io.Closer](t, st).Close)
}

func closeAgain(t *check) {
	st := t.open()
	closer := as[io.Closer](t, st)
	t.filled(st, "close", 2)
	t.together(4, func(int) error {
		if err := closer.Close(); err != nil {
			return fmt.Errorf("one of 4 concurrent calls of Close: %w", err)
		}
		return nil
	})
	t.close(st)
}

func closeRefuses(t *check) {
	st := t.open()
	s, events := t.filled(st, "closed", 2)
	t.close(st)
	calls := map[string]func() error{
		"Append": func() error { _, err := st.Append(t.ctx, s, store.Any, newEvents(1)); return err },
		"Append of recorded events": func() error {
			_, err := st.Append(t.ctx, s, store.Any, events)
			return err
		},
		"Read": func() error { _, err := st.Read(t.ctx, s, store.ReadOptions{}); return err },
	}
	t.optionalCalls(st, s, calls)
	for name, call := range calls {
		var err error
		t.inTime(name+" after Close", func() error { err = call(); return nil })
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close ended with %s, want ErrClosed", name, answer(err))
		}
	}
}

// optionalCalls adds the calls of the capabilities of st to calls, by name.
func (t *check) optionalCalls(st store.Store, s store.Stream, calls map[string]func() error) {
	if log, ok := st.(store.Log); ok {
		calls["Head"] = func() error { _, err := log.Head(t.ctx); return err }
		calls["ReadAll"] = func() error { _, err := log.ReadAll(t.ctx, store.LogOptions{}); return err }
		calls["Subscribe"] = func() error { return ends(t.ctx, log, store.LogOptions{}, func(store.Page) {}) }
	}
	if snapshots, ok := st.(store.Snapshots); ok {
		calls["SaveSnapshot"] = func() error {
			return snapshots.SaveSnapshot(t.ctx, store.Snapshot{Stream: s, Schema: "v1", Version: 1})
		}
		calls["LoadSnapshot"] = func() error { _, _, err := snapshots.LoadSnapshot(t.ctx, s, "v1"); return err }
	}
	if checkpoints, ok := st.(store.Checkpoints); ok {
		calls["SaveCheckpoint"] = func() error {
			return checkpoints.SaveCheckpoint(t.ctx, "c", store.Checkpoint{}, store.Checkpoint{Position: 1})
		}
		calls["ListCheckpoints"] = func() error { _, err := checkpoints.ListCheckpoints(t.ctx, "", 0); return err }
		calls["LoadCheckpoint"] = func() error { _, err := checkpoints.LoadCheckpoint(t.ctx, "c"); return err }
	}
	if claims, ok := st.(store.Claims); ok {
		calls["AppendClaiming"] = func() error {
			_, err := claims.AppendClaiming(t.ctx, s, store.Any, newEvents(1), take(newKey()))
			return err
		}
		calls["Holder"] = func() error { _, _, err := claims.Holder(t.ctx, newKey()); return err }
	}
	t.moreCalls(st, s, calls)
}

func (t *check) moreCalls(st store.Store, s store.Stream, calls map[string]func() error) {
	if leases, ok := st.(store.Leases); ok {
		calls["AcquireLease"] = func() error { _, err := leases.AcquireLease(t.ctx, newLease(), "a", long); return err }
		calls["ReleaseLease"] = func() error {
			return leases.ReleaseLease(t.ctx, store.Lease{Name: newLease(), Owner: "a", Fence: 1})
		}
	}
	if update, ok := updateOf(st); ok {
		calls["Update"] = func() error { return update(t.ctx, func(store.Tx) error { return nil }) }
	}
	if documents, ok := st.(store.Documents); ok {
		calls["LoadDocuments"] = func() error { _, err := documents.LoadDocuments(t.ctx, "kind", []string{"1"}); return err }
		calls["ScanDocuments"] = func() error { _, err := documents.ScanDocuments(t.ctx, "kind", "", "", 0); return err }
	}
	if reader, ok := st.(store.ValueReader); ok {
		calls["ReadValues"] = func() error { _, err := reader.ReadValues(t.ctx, s, 1); return err }
	}
	if finder, ok := st.(store.Finder); ok {
		calls["FindEvent"] = func() error { _, _, err := finder.FindEvent(t.ctx, "1"); return err }
		calls["ListStreams"] = func() error { _, err := finder.ListStreams(t.ctx, store.StreamsOptions{}); return err }
		calls["StreamTypes"] = func() error { _, err := finder.StreamTypes(t.ctx); return err }
	}
	if tenants, ok := st.(store.Tenants); ok {
		calls["Read of a tenant"] = func() error {
			tenant, err := tenants.Tenant("tenant")
			if err == nil {
				_, err = tenant.Read(t.ctx, s, store.ReadOptions{})
			}
			return err
		}
	}
}

func closeEndsSubscriptions(t *check) {
	st := t.open()
	log, ok := st.(store.Log)
	if !ok {
		t.Skipf("%T is not a store.Log", st)
	}
	t.filled(st, "close", 3)
	caughtUp := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- ends(t.ctx, log, store.LogOptions{}, func(page store.Page) {
			if page.End {
				caughtUp <- struct{}{}
			}
		})
	}()
	select {
	case <-caughtUp:
	case err := <-ended:
		t.Fatalf("Subscribe ended before Close, with %s", answer(err))
	case <-time.After(t.patience):
		t.Fatalf("Subscribe has not caught up after %s", t.patience)
	}
	t.close(st)
	t.inTime("Subscribe after Close", func() error {
		if err := <-ended; !errors.Is(err, store.ErrClosed) {
			return fmt.Errorf("it ended with %s, want ErrClosed", answer(err))
		}
		return nil
	})
}

func closeWhileAppending(t *check) {
	const writers = 4
	for range t.times(10) {
		st := t.open()
		closer := as[io.Closer](t, st)
		t.together(writers+1, func(i int) error {
			if i == writers {
				if err := closer.Close(); err != nil {
					return fmt.Errorf("closing concurrently with appends: %w", err)
				}
				return nil
			}
			s := newStream("closing")
			for version := range uint64(1000) {
				events := newEvents(1)
				got, err := st.Append(t.ctx, s, store.Exactly(version), events)
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				if err != nil || got.Version != version+1 {
					return fmt.Errorf("%s concurrently with Close = version %d, %s; want success or ErrClosed",
						appendCall(s, store.Exactly(version), events), got.Version, answer(err))
				}
			}
			return nil
		})
	}
}
