package jetstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// change updates the last message of subject in the stream next to the log. It reads
// the message, replaces it with the result of to, and retries until no other writer has
// replaced it in the meantime. The argument of to is nil if there is no message. If to
// returns nil, change keeps the message. Making a change twice must be harmless.
func (b *backend) change(ctx context.Context, subject string, to func(ctx context.Context, m *message) ([]byte, error)) error {
	giveUp := time.Now().Add(bound) //nolint:forbidigo // of the servers
	for n := 0; ; n++ {
		m, err := b.kept(ctx, subject)
		if err != nil {
			return err
		}
		data, err := to(ctx, m)
		if err != nil || data == nil {
			return err
		}
		longer, cancel := graced(ctx)
		position, err := b.wire.publish(longer, expecting(subject, nil, data, positionOf(m)))
		cancel()
		if err == nil {
			raise(&b.mostKept, position)
			return nil
		}
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if !isAmbiguous(err) || time.Now().After(giveUp) { //nolint:forbidigo // as above
			return err
		}
		pause(ctx, n)
	}
}

// kept returns the last message of subject in the stream next to the log.
func (b *backend) kept(ctx context.Context, subject string) (m *message, err error) {
	err = b.wire.retry(ctx, func(ctx context.Context) error {
		m, err = b.wire.newest(ctx, b.names.keep(), subject)
		return err
	})
	return m, err
}

// SaveSnapshot is [store.Snapshots.SaveSnapshot]. It returns an *[store.InvalidError]
// if the data does not fit into a message of the servers (max_payload), or the version
// is above [store.MaxVersion].
func (s *Store) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	if err := snap.Validate(); err != nil {
		return err
	}
	if snap.Version > store.MaxVersion {
		return invalid("version", "is above the largest version")
	}
	b := s.backend
	if most := b.nc.MaxPayload(); int64(len(snap.Data)+overhead) > most {
		return invalid("data", fmt.Sprintf("has %d bytes, which do not fit into a message of the server, whose max_payload is %d; set it to 8MB", len(snap.Data), most))
	}
	data := append(binary.BigEndian.AppendUint64(nil, snap.Version), snap.Data...)
	return b.calling(ctx, func(ctx context.Context) error {
		return b.change(ctx, b.names.snapshot(s.tenant, snap.Stream, snap.Schema), func(_ context.Context, m *message) ([]byte, error) {
			if m != nil && len(m.data) >= 8 && binary.BigEndian.Uint64(m.data) > snap.Version {
				return nil, nil
			}
			return data, nil
		})
	})
}

// LoadSnapshot is [store.Snapshots.LoadSnapshot].
func (s *Store) LoadSnapshot(
	ctx context.Context, stream store.Stream, schema string,
) (snap store.Snapshot, ok bool, err error) {
	if err := store.ValidateSnapshotKey(stream, schema); err != nil {
		return store.Snapshot{}, false, err
	}
	var m *message
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		m, err = b.kept(ctx, b.names.snapshot(s.tenant, stream, schema))
		return err
	})
	if err != nil || m == nil || len(m.data) < 8 {
		return store.Snapshot{}, false, err
	}
	snap = store.Snapshot{Stream: stream, Schema: schema, Version: binary.BigEndian.Uint64(m.data)}
	if data := m.data[8:]; len(data) > 0 {
		snap.Data = bytes.Clone(data)
	}
	return snap, true, nil
}

// checkpointMessage is the checkpoint of the consumer with this name.
type checkpointMessage struct {
	Name     string `json:"name"`
	Position uint64 `json:"position,omitempty"`
	EventID  string `json:"event,omitempty"`
}

// checkpoint decodes m, which may be nil.
func (m *message) checkpoint() (c checkpointMessage, err error) {
	if m != nil && json.Unmarshal(m.data, &c) != nil {
		return c, damaged(fmt.Sprintf("message %d (%s) is not a checkpoint", m.position, m.subject))
	}
	return c, nil
}

// LoadCheckpoint is [store.Checkpoints.LoadCheckpoint].
func (s *Store) LoadCheckpoint(ctx context.Context, name string) (c store.Checkpoint, err error) {
	if err := store.ValidateConsumer(name); err != nil {
		return store.Checkpoint{}, err
	}
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		m, err := b.kept(ctx, b.names.checkpoint(s.tenant, name))
		if err != nil {
			return err
		}
		found, err := m.checkpoint()
		c = store.Checkpoint{Position: found.Position, EventID: found.EventID}
		return err
	})
	return c, err
}

// SaveCheckpoint is [store.Checkpoints.SaveCheckpoint]. It returns an
// *[store.InvalidError] if the position is above [store.MaxVersion].
func (s *Store) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	if err := store.ValidateCheckpoint(name, from, to); err != nil {
		return err
	}
	if to.Position > store.MaxVersion {
		return invalid("to", "is above the largest position")
	}
	b := s.backend
	data, err := json.Marshal(checkpointMessage{name, to.Position, to.EventID})
	if err != nil {
		return err
	}
	return b.calling(ctx, func(ctx context.Context) error {
		again := false // an earlier attempt may have moved it
		return b.change(ctx, b.names.checkpoint(s.tenant, name), func(_ context.Context, m *message) ([]byte, error) {
			found, err := m.checkpoint()
			if err != nil {
				return nil, err
			}
			is := store.Checkpoint{Position: found.Position, EventID: found.EventID}
			if is != from {
				if again && is == to {
					return nil, nil
				}
				return nil, fmt.Errorf("jetstream: checkpoint %q is at position %d (event %q), not %d (event %q): %w",
					name, is.Position, is.EventID, from.Position, from.EventID, store.ErrConflict)
			}
			again = true
			return data, nil
		})
	})
}

// ListCheckpoints is [store.Checkpoints.ListCheckpoints].
func (s *Store) ListCheckpoints(ctx context.Context, from string, limit int) (list []store.NamedCheckpoint, err error) {
	if err := store.ValidateListCheckpoints(from, limit); err != nil {
		return nil, err
	}
	var all map[string]*message
	b := s.backend
	err = b.calling(ctx, func(ctx context.Context) error {
		all, err = b.checkpoints(ctx, s.tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	for subject, m := range all {
		if subject == b.names.markKept() {
			continue
		}
		c, err := m.checkpoint()
		if err != nil {
			return nil, err
		}
		if c.Position > 0 && c.Name >= from {
			list = append(list, store.NamedCheckpoint{Name: c.Name, Checkpoint: store.Checkpoint{Position: c.Position, EventID: c.EventID}})
		}
	}
	slices.SortFunc(list, func(a, b store.NamedCheckpoint) int { return cmp.Compare(a.Name, b.Name) })
	return list[:min(len(list), cmp.Or(limit, store.DefaultLimit))], nil
}

// checkpoints returns the messages with the checkpoints of tenant, by their subjects.
func (b *backend) checkpoints(ctx context.Context, tenant string) (all map[string]*message, err error) {
	var last uint64
	err = b.wire.retry(ctx, func(ctx context.Context) (err error) {
		last, _, err = b.wire.stateOf(ctx, b.names.keep())
		return err
	})
	if err != nil {
		return nil, err
	}
	least := max(last, b.mostKept.Load())
	all, _, err = b.wire.snapshot(ctx, b.names.keep(), []string{b.names.checkpoints(tenant), b.names.markKept()}, least, nil)
	if !errors.Is(err, errTooMany) && !errors.Is(err, errCut) {
		return all, err
	}
	all = make(map[string]*message)
	for n := range buckets {
		some, _, err := b.wire.snapshot(ctx, b.names.keep(), []string{b.names.bucket(tenant, n), b.names.markKept()}, least, nil)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	return all, nil
}

// leaseMessage is a lease, which is free if it has no owner.
type leaseMessage struct {
	Owner string    `json:"owner,omitempty"`
	Fence uint64    `json:"fence"`
	Until time.Time `json:"until,omitzero"`
}

func (m *message) lease() (l leaseMessage, err error) {
	if m != nil && json.Unmarshal(m.data, &l) != nil {
		return l, damaged(fmt.Sprintf("message %d (%s) is not a lease", m.position, m.subject))
	}
	return l, nil
}

// AcquireLease is [store.Leases.AcquireLease]. Leases use the clock of the server that
// leads the stream next to the log. When another server takes over, they end earlier or
// later by the difference of the clocks.
func (s *Store) AcquireLease(ctx context.Context, name, owner string, ttl time.Duration) (store.Lease, error) {
	if err := store.ValidateLease(name, owner, ttl); err != nil {
		return store.Lease{}, err
	}
	lease := store.Lease{Name: name, Owner: owner}
	b := s.backend
	err := b.calling(ctx, func(ctx context.Context) error {
		return b.change(ctx, b.names.lease(s.tenant, name), func(ctx context.Context, m *message) ([]byte, error) {
			is, err := m.lease()
			if err != nil {
				return nil, err
			}
			now, err := b.now(ctx)
			if err != nil {
				return nil, err
			}
			held := is.Owner != "" && is.Until.After(now)
			if held && is.Owner != owner {
				return nil, &store.LeaseHeldError{Name: name, Owner: is.Owner, Until: is.Until}
			}
			if !held {
				is.Fence++
			}
			lease.Fence, lease.Until = is.Fence, now.Add(ttl)
			return json.Marshal(leaseMessage{owner, lease.Fence, lease.Until})
		})
	})
	if err != nil {
		return store.Lease{}, err
	}
	return lease, nil
}

// now returns the time at the leader of the stream next to the log.
func (b *backend) now(ctx context.Context) (now time.Time, err error) {
	err = b.wire.retry(ctx, func(ctx context.Context) (err error) {
		_, now, err = b.wire.stateOf(ctx, b.names.keep())
		return err
	})
	return now, err
}

// ReleaseLease is [store.Leases.ReleaseLease].
func (s *Store) ReleaseLease(ctx context.Context, lease store.Lease) error {
	if err := store.ValidateLeaseOwner(lease.Name, lease.Owner); err != nil {
		return err
	}
	b := s.backend
	return b.calling(ctx, func(ctx context.Context) error {
		return b.change(ctx, b.names.lease(s.tenant, lease.Name), func(_ context.Context, m *message) ([]byte, error) {
			is, err := m.lease()
			if err != nil || is.Owner != lease.Owner || is.Fence != lease.Fence {
				return nil, err
			}
			return json.Marshal(leaseMessage{Fence: is.Fence})
		})
	})
}
