package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// batch returns events as a bug records them.
func (p *plain) batch(events []store.Event) []store.Event {
	switch {
	case p.is("a batch in the wrong order") && len(events) > 1:
		events = slices.Clone(events)
		events[0], events[1] = events[1], events[0]
	case p.is("a batch is cut") && len(events) > 100:
		events = events[:100]
	case p.is("arguments filled in"):
		for i := range events {
			if events[i].ContentType == "" {
				events[i].ContentType = store.OctetStream
			}
		}
	case p.is("writes past the end of data"):
		for i := range events {
			_ = append(events[i].Data, '\n')
		}
	}
	return events
}

// kept returns event i of a batch as it is stored.
func (p *plain) kept(batch []store.Event, i int, now time.Time) store.Event {
	e, n := &batch[i], len(batch)
	k := *e
	if held, ok := p.held[e.ID]; ok {
		return held
	}
	aliased := p.is("the store aliases a single event") && n == 1 || p.is("the store aliases the first event") && i == 0 ||
		p.is("the store aliases the second event") && i == 1 || p.is("the store aliases the last event") && n > 1 && i == n-1
	if !p.is("the store aliases the caller's data") && !aliased {
		k.Data = bytes.Clone(e.Data)
	}
	if !p.is("the store aliases the caller's headers") && !aliased {
		k.Meta.Headers = maps.Clone(e.Meta.Headers)
	}
	if k.ContentType == "" && !p.is("empty content type is kept") {
		k.ContentType = store.OctetStream
	}
	if k.Time.IsZero() && !p.is("zero time is kept") {
		k.Time = now
	}
	switch p.bug {
	case "data is converted to text":
		k.Data = bytes.ToValidUTF8(k.Data, []byte("?"))
	case "data is trimmed":
		k.Data = bytes.TrimSpace(k.Data)
	case "data is truncated":
		k.Data = k.Data[:min(len(k.Data), 64<<10)]
	case "types are trimmed":
		k.Type = strings.TrimSpace(k.Type)
	case "event ids folded":
		k.ID = strings.ToLower(k.ID)
	case "empty headers are lost":
		maps.DeleteFunc(k.Meta.Headers, func(_, v string) bool { return v == "" })
	case "header keys folded":
		k.Meta.Headers = nil
		for key, v := range e.Meta.Headers {
			if k.Meta.Headers == nil {
				k.Meta.Headers = make(map[string]string)
			}
			k.Meta.Headers[strings.ToLower(key)] = v
		}
	case "metadata is truncated":
		k.Meta.ActorID = k.Meta.ActorID[:min(len(k.Meta.ActorID), 8000)]
	case "schema numbers are 16 bits":
		k.Schema = uint32(uint16(k.Schema))
	case "times are truncated to seconds":
		k.Time = k.Time.Truncate(time.Second)
	case "time zone is lost":
		k.Time = time.Date(k.Time.Year(), k.Time.Month(), k.Time.Day(), k.Time.Hour(), k.Time.Minute(), k.Time.Second(), k.Time.Nanosecond(), time.UTC)
	case "values are lost":
		k.Value = nil
	}
	return k
}

// place changes where r is recorded.
func (p *plain) place(r *store.Recorded) {
	switch p.bug {
	case "recorded at the client's time":
		r.RecordedAt = r.Time
	case "no recording time":
		r.RecordedAt = time.Time{}
	case "positions are versions":
		r.Position = r.Version
	case "versions begin at 0":
		r.Version--
	case "versions have gaps":
		r.Version *= 2
	}
}

// list adds r, event i of a batch, to the log.
func (p *plain) list(r *store.Recorded, i int) {
	if p.is("an event lost from the log") && i > 0 || p.is("events of one type are not in the log") && r.Type == "Closed" {
		return
	}
	logged := *r
	if p.is("the log loses metadata") {
		logged.Meta = store.Metadata{}
	}
	p.log = append(p.log, &logged)
	if first := p.tenants[store.DefaultTenant]; p.is("tenants share the log") {
		for _, other := range p.tenants {
			if other != p && other != first {
				other.log = append(other.log, &logged)
			}
		}
	}
	if p.is("an event repeated in the log") && i == 2 {
		again := logged
		again.Position++
		p.log = append(p.log, &again)
	}
}

func (p *plain) snapshotKey(s store.Stream, schema string) snapshotKey {
	switch p.bug {
	case "snapshots of all schemas are one":
		schema = ""
	}
	s.Type, s.ID = p.letter("snapshot stream types", s.Type), p.letter("snapshot stream ids", s.ID)
	return snapshotKey{s, p.letter("snapshot schemas", schema)}
}

type snapshotKey struct {
	stream store.Stream
	schema string
}

func (p *plain) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	err := store.ValidateTenant(snap.Schema)
	if err == nil {
		err = snap.Stream.Validate()
	}
	if err == nil && snap.Version == 0 {
		err = &store.InvalidError{Field: "version", Reason: "is 0"}
	}
	if err != nil && !p.is("snapshots are not validated") {
		return err
	}
	if done, err := p.turn.joined(ctx, p, func() {}); done {
		return err
	}
	defer p.turn.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return err
	}
	key := p.snapshotKey(snap.Stream, snap.Schema)
	old := p.snapshots[key]
	if p.is("snapshot checked before the lock") {
		p.pause()
	}
	if old.Version > snap.Version && !p.is("an older snapshot wins") || p.is("the first snapshot stays") && old.Version == snap.Version {
		return nil
	}
	if !p.is("the store aliases a saved snapshot") {
		snap.Data = bytes.Clone(snap.Data)
	}
	p.snapshots[key] = snap
	if p.is("snapshots in the stream") {
		_, _ = p.record(ctx, snap.Stream, []store.Event{{ID: store.NewID(), Type: "Snapshot", Data: snap.Data}})
	}
	return nil
}

func (p *plain) LoadSnapshot(ctx context.Context, s store.Stream, schema string) (store.Snapshot, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Snapshot{}, false, err
	}
	snap, ok := p.snapshots[p.snapshotKey(s, schema)]
	switch {
	case p.is("a missing snapshot is an error") && !ok:
		return snap, false, errors.New("a missing stream is a no-rows error")
	case p.is("snapshots are truncated"):
		snap.Data = snap.Data[:min(len(snap.Data), 64<<10)]
	case !p.is("a loaded snapshot aliases the store"):
		snap.Data = bytes.Clone(snap.Data)
	}
	return snap, ok, nil
}

func (p *plain) LoadCheckpoint(ctx context.Context, name string) (store.Checkpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Checkpoint{}, err
	}
	c, ok := p.checkpoints[p.letter("checkpoint names", name)]
	if !ok && p.is("a missing checkpoint is an error") {
		return c, errors.New("a missing stream is a no-rows error")
	}
	return c, nil
}

func (p *plain) ListCheckpoints(ctx context.Context, from string, limit int) ([]store.NamedCheckpoint, error) {
	if err := store.ValidateListCheckpoints(from, limit); err != nil && !p.is("checkpoint is not validated") {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	var list []store.NamedCheckpoint
	for name, c := range p.checkpoints {
		if (c != store.Checkpoint{} || p.is("reset checkpoints are listed")) && (name > from || name == from && !p.is("lists exclude from")) {
			list = append(list, store.NamedCheckpoint{Name: name, Checkpoint: c})
		}
	}
	slices.SortFunc(list, func(a, b store.NamedCheckpoint) int {
		if p.is("lists are unsorted") {
			return int(a.Position) - int(b.Position)
		}
		return strings.Compare(a.Name, b.Name)
	})
	if limit == 0 && !p.is("zero limit lists nothing") {
		limit = store.DefaultLimit
	}
	if p.is("lists ignore their limit") {
		limit = len(list)
	}
	if p.is("lists have no event ids") {
		for i := range list {
			list[i].EventID = ""
		}
	}
	return list[:min(max(limit, 0), len(list))], nil
}

func (p *plain) SaveCheckpoint(ctx context.Context, name string, from, to store.Checkpoint) error {
	err := store.ValidateTenant(name)
	holds, resets := to == from && !p.is("a save to the same checkpoint is refused"), to == (store.Checkpoint{}) && !p.is("a reset is refused")
	if err == nil && to.Position <= from.Position && !holds && !resets {
		err = &store.InvalidError{Field: "to", Reason: "is not after from"}
	}
	if err != nil && !p.is("checkpoint is not validated") {
		return err
	}
	if !p.is("a checkpoint that is held is saved") {
		if done, err := p.turn.joined(ctx, p, func() { p.checkpoints[name] = to }); done {
			return err
		}
		defer p.turn.RUnlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return err
	}
	was := p.checkpoints[p.letter("checkpoint names", name)]
	if p.is("a checkpoint that was kept is a conflict") {
		if kept := "kept " + name; holds && from.Position > 0 {
			p.checkpoints[kept] = to
		} else if p.checkpoints[kept] == from && from.Position > 0 {
			return store.ErrConflict
		}
	}
	if p.is("checkpoint checked before the lock") {
		p.pause()
	}
	is := was == from || p.is("a save to the same checkpoint checks nothing") && to == from || p.is("a reset checks nothing") && resets || p.is("checkpoint saved without comparing") || p.is("checkpoints compared by position only") && was.Position == from.Position
	switch {
	case !is && p.is("checkpoint conflict untyped"):
		return errors.New("0 rows")
	case !is:
		return fmt.Errorf("checkpoint %q is %+v, not %+v: %w", name, was, from, store.ErrConflict)
	case p.is("checkpoint id trimmed"):
		to.EventID = strings.TrimSpace(to.EventID)
	}
	switch {
	case p.is("a save to the same checkpoint moves it") && holds && from.Position > 0:
		to.Position++
	case p.is("a reset keeps the checkpoint") && resets:
		to = was
	}
	p.checkpoints[p.letter("checkpoint names", name)] = to
	return nil
}
