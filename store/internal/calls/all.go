package calls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// change is something that a store writes. Its values depend on key, which is new each
// time.
type change[T Tx] struct {
	do   func(ctx context.Context, st Store[T], key string) error
	done func(ctx context.Context, st Store[T], key string) (bool, error)
}

func bookings(key string) []store.Event {
	return []store.Event{{ID: key + "-1", Type: "Opened"}, {ID: key + "-2", Type: key, Meta: store.Metadata{ActorID: key}}}
}

func booked(ctx context.Context, st store.Store, key string) (bool, error) {
	page, err := st.Read(ctx, store.Stream{Type: "Account", ID: key}, store.ReadOptions{})
	if n := len(page.Events); n != 0 && n != 2 {
		return false, fmt.Errorf("%d of 2 events are recorded", n)
	}
	return len(page.Events) == 2, err
}

// changes returns everything that a store writes.
func changes[T Tx]() map[string]change[T] {
	return map[string]change[T]{
		"Append": {func(ctx context.Context, st Store[T], key string) error {
			_, err := st.Append(ctx, store.Stream{Type: "Account", ID: key}, store.NoStream, bookings(key))
			return err
		}, func(ctx context.Context, st Store[T], key string) (bool, error) { return booked(ctx, st, key) }},
		"Append of a type of stream": {func(ctx context.Context, st Store[T], key string) error {
			_, err := st.Append(ctx, store.Stream{Type: key, ID: "1"}, store.Any, bookings(key)[:1])
			return err
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			_, found, err := st.FindEvent(ctx, key+"-1")
			return found, err
		}},
		"AppendClaiming": {func(ctx context.Context, st Store[T], key string) error {
			_, err := st.AppendClaiming(ctx, store.Stream{Type: "Account", ID: key}, store.NoStream, bookings(key), []store.Claim{{Key: key}})
			return err
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			holder, claimed, err := st.Holder(ctx, key)
			recorded, lost := booked(ctx, st, key)
			if claimed != recorded || claimed && holder.ID != key {
				err = errors.Join(err, fmt.Errorf("the key is claimed: %t by %v; the events are recorded: %t", claimed, holder, recorded))
			}
			return claimed, errors.Join(err, lost)
		}},
		"SaveSnapshot": {func(ctx context.Context, st Store[T], key string) error {
			return st.SaveSnapshot(ctx, store.Snapshot{Stream: store.Stream{Type: "Account", ID: "1"}, Schema: key, Version: 1, Data: []byte("1")})
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			_, found, err := st.LoadSnapshot(ctx, store.Stream{Type: "Account", ID: "1"}, key)
			return found, err
		}},
		"SaveCheckpoint": {func(ctx context.Context, st Store[T], key string) error {
			return st.SaveCheckpoint(ctx, key, store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "1"})
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			c, err := st.LoadCheckpoint(ctx, key)
			return c.Position == 1, err
		}},
		"AcquireLease": {func(ctx context.Context, st Store[T], key string) error {
			_, err := st.AcquireLease(ctx, key, "me", time.Hour)
			return err
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			_, err := st.AcquireLease(ctx, key, "you", time.Nanosecond)
			if errors.Is(err, store.ErrLeaseHeld) {
				return true, nil
			}
			return false, err
		}},
		"ReleaseLease": {func(ctx context.Context, st Store[T], key string) error {
			lease, err := st.AcquireLease(ctx, key, "me", time.Hour)
			if err != nil {
				return err
			}
			return st.ReleaseLease(ctx, lease)
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			lease, err := st.AcquireLease(ctx, key, "you", time.Nanosecond)
			if errors.Is(err, store.ErrLeaseHeld) {
				return false, nil
			}
			return lease.Fence > 1, err
		}},
		"Update": {func(ctx context.Context, st Store[T], key string) error {
			return st.Update(ctx, func(tx T) error {
				_, err := tx.Append(store.Stream{Type: "Account", ID: key}, store.NoStream, bookings(key))
				if err != nil {
					return err
				}
				if _, err := tx.Read(store.Stream{Type: "Account", ID: key}, store.ReadOptions{}); err != nil {
					return err
				}
				if _, err := tx.LoadDocuments("balance", []string{key}); err != nil {
					return err
				}
				if err := tx.SaveDocuments([]store.Document{{Kind: "balance", ID: key, Data: []byte("1")}, {Kind: "balance", ID: "0"}}); err != nil {
					return err
				}
				if docs, err := tx.ScanDocuments("balance", key, "", 1); err != nil || len(docs) != 1 {
					return errors.Join(err, fmt.Errorf("%d documents were found", len(docs)))
				}
				return tx.SaveCheckpoint(key, store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "1"})
			})
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			docs, err := st.LoadDocuments(ctx, "balance", []string{key})
			recorded, lost := booked(ctx, st, key)
			if saved := len(docs) == 1 && docs[0].Data != nil; saved != recorded {
				err = errors.Join(err, fmt.Errorf("the document is saved: %t; the events are recorded: %t", saved, recorded))
			}
			return recorded, errors.Join(err, lost)
		}},
		"Append of a tenant": {func(ctx context.Context, st Store[T], key string) error {
			tenant, err := st.Tenant(key)
			if err != nil {
				return err
			}
			_, err = tenant.Append(ctx, store.Stream{Type: "Account", ID: key}, store.NoStream, bookings(key))
			return err
		}, func(ctx context.Context, st Store[T], key string) (bool, error) {
			tenant, err := st.Tenant(key)
			if err != nil {
				return false, err
			}
			return booked(ctx, tenant, key)
		}},
	}
}

// reads returns the questions that a store answers.
func reads[T Tx]() map[string]func(ctx context.Context, st Store[T]) (any, error) {
	return map[string]func(ctx context.Context, st Store[T]) (any, error){
		"Read": func(ctx context.Context, st Store[T]) (any, error) {
			return st.Read(ctx, store.Stream{Type: "Account", ID: "1"}, store.ReadOptions{})
		},
		"Read backward": func(ctx context.Context, st Store[T]) (any, error) {
			return st.Read(ctx, store.Stream{Type: "Account", ID: "1"}, store.ReadOptions{Backward: true, Limit: 1})
		},
		"ReadAll": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ReadAll(ctx, store.LogOptions{Limit: 3})
		},
		"ReadAll backward": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ReadAll(ctx, store.LogOptions{Backward: true, From: 3})
		},
		"ReadAll of a type": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ReadAll(ctx, store.LogOptions{Filter: store.Filter{EventTypes: []string{"Opened"}}, Limit: 2})
		},
		"ReadAll of some streams": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ReadAll(ctx, store.LogOptions{Filter: store.Filter{StreamTypes: []string{"Account", "Card"}, IDPrefix: "1"}, Limit: 2})
		},
		"Head": func(ctx context.Context, st Store[T]) (any, error) {
			head, err := st.Head(ctx)
			return head > 0, err
		},
		"ListStreams": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ListStreams(ctx, store.StreamsOptions{Limit: 2})
		},
		"ListStreams of a type": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ListStreams(ctx, store.StreamsOptions{Type: "Card", After: store.Stream{Type: "Card", ID: "0"}})
		},
		"StreamTypes": func(ctx context.Context, st Store[T]) (any, error) {
			types, err := st.StreamTypes(ctx)
			return len(types) > 1, err
		},
		"FindEvent": func(ctx context.Context, st Store[T]) (any, error) {
			event, found, err := st.FindEvent(ctx, "1-2")
			return fmt.Sprint(event, found), err
		},
		"Holder": func(ctx context.Context, st Store[T]) (any, error) {
			holder, found, err := st.Holder(ctx, "key")
			return fmt.Sprint(holder, found), err
		},
		"LoadSnapshot": func(ctx context.Context, st Store[T]) (any, error) {
			snap, found, err := st.LoadSnapshot(ctx, store.Stream{Type: "Account", ID: "1"}, "1")
			return fmt.Sprint(snap, found), err
		},
		"LoadCheckpoint": func(ctx context.Context, st Store[T]) (any, error) { return st.LoadCheckpoint(ctx, "1") },
		"ListCheckpoints": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ListCheckpoints(ctx, "", 1)
		},
		"LoadDocuments": func(ctx context.Context, st Store[T]) (any, error) {
			return st.LoadDocuments(ctx, "name", []string{"1", "2"})
		},
		"ScanDocuments": func(ctx context.Context, st Store[T]) (any, error) {
			return st.ScanDocuments(ctx, "name", "", "", 0)
		},
		"Update that its caller ends": func(ctx context.Context, st Store[T]) (any, error) {
			err := st.Update(ctx, func(tx T) error {
				_, err := tx.Append(store.Stream{Type: "Account", ID: "never"}, store.NoStream, bookings("never"))
				return cmp.Or(err, errNo)
			})
			if errors.Is(err, errNo) {
				return booked(ctx, st, "never")
			}
			return false, err
		},
		"Append of recorded events": func(ctx context.Context, st Store[T]) (any, error) {
			return st.Append(ctx, store.Stream{Type: "Account", ID: "1"}, store.NoStream, bookings("1"))
		},
		"Subscribe": func(ctx context.Context, st Store[T]) (any, error) {
			for page, err := range st.Subscribe(ctx, store.LogOptions{Limit: 2}) {
				return page, err
			}
			return nil, errors.New("no page")
		},
	}
}
