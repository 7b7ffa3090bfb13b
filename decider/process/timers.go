package process

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/evolvego/evolve/store"
)

// firing is a search for timers: those that were due at a time, once the log is handled
// up to its head as of that time or later.
type firing struct {
	due  int64
	head uint64
}

// due is a timer that is due.
type due struct {
	key      string
	instance string
	name     string
}

// loadTimers counts the timers, and finds the one that is due first.
func (o *owner[T, E, S, C]) loadTimers(tx store.DocumentTx) error {
	o.nextDue, o.firing = 0, nil
	clear(o.fired)
	return scan(tx, o.kinds.timers, "", "", func(d store.Document) error {
		o.timers++
		if o.nextDue == 0 {
			o.nextDue = dueOf(d.ID)
		}
		return nil
	})
}

func dueOf(key string) int64 {
	n, _ := strconv.ParseInt(key[:len(dueKey(0))], 10, 64)
	return n
}

// rearm sets wake to the time of the next task.
func (o *owner[T, E, S, C]) rearm(wake *time.Timer) {
	now := o.r.now()
	next := now.Add(leaseFor / 3) // another program may have changed something
	if o.nextDue != 0 && o.firing == nil {
		if at := time.UnixMicro(o.nextDue); at.Before(next) {
			next = at
		}
	}
	for _, f := range o.failing {
		if !f.quarantined && !f.busy && f.at.Before(next) {
			next = f.at
		}
	}
	if len(o.failing) > 0 && next.Sub(now) > standbyPoll {
		next = now.Add(standbyPoll)
	}
	wake.Reset(max(next.Sub(now), 0))
}

// wake does the tasks that are due.
func (o *owner[T, E, S, C]) wake(ctx context.Context) error {
	if err := o.lookForTurn(ctx); err != nil {
		return err
	}
	o.again(ctx)
	now := o.r.now().UnixMicro()
	if o.nextDue == 0 || o.nextDue > now || o.firing != nil {
		return nil
	}
	// Events recorded before a timer was due come first. So fire when the log is handled
	// up to a head that is read after that time.
	head, err := o.r.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	o.firing = &firing{due: now, head: head}
	o.catchUp(ctx, head)
	return o.fire(ctx)
}

// catchUp counts the log up to head as handled if it contains nothing more for the
// process. Until the next page arrives, the owner does not know of events that do not
// concern it.
func (o *owner[T, E, S, C]) catchUp(ctx context.Context, head uint64) {
	if o.handled >= head {
		return
	}
	page, err := o.r.log.ReadAll(ctx, store.LogOptions{From: o.handled + 1, Limit: 1, Filter: o.r.source.Filter()})
	if err != nil { // the next page will tell
		return
	}
	if len(page.Events) > 0 && page.Events[0].Position > head || len(page.Events) == 0 && (page.End || page.Next > head) {
		o.handled = head
	}
}

// lookForTurn returns errFenced if an instance has been changed, and finds out whether a
// later version wants to take over.
func (o *owner[T, E, S, C]) lookForTurn(ctx context.Context) error {
	var b buildNote
	look := func(tx documents) error {
		_, err := load(tx, o.r.build(), &b)
		return err
	}
	var err error
	if reads, ok := o.r.target.(store.Documents); ok { // this waits for no writer
		err = look(reading{ctx, reads})
	} else {
		err = o.r.view(ctx, func(tx store.DocumentTx, _ func(string) (store.Checkpoint, error)) error { return look(tx) })
	}
	switch {
	case err != nil:
		return err
	case b.Turn != o.turn:
		return errFenced
	}
	o.wanted = b.Wanted
	return nil
}

// fire records the events of the timers in o.firing, if the log is handled far enough.
func (o *owner[T, E, S, C]) fire(ctx context.Context) error {
	if o.firing == nil || o.handled < o.firing.head {
		return nil
	}
	limit := dueKey(o.firing.due + 1)
	var found []due
	var notes map[string]*note
	next := int64(0)
	err := o.r.view(ctx, func(tx store.DocumentTx, _ func(string) (store.Checkpoint, error)) error {
		var ids []string
		err := scan(tx, o.kinds.timers, "", limit, func(d store.Document) error {
			var n dueNote
			if _, ok := o.fired[d.ID]; ok { // its event is on the way, or waits
				return nil
			}
			found = append(found, due{key: d.ID})
			ids = append(ids, "")
			return unmarshalDue(d.Data, &n, &found[len(found)-1], &ids[len(ids)-1])
		})
		if err != nil {
			return err
		}
		if notes, err = loadNotes(tx, o.kinds.instances, ids); err != nil {
			return err
		}
		later, err := tx.ScanDocuments(o.kinds.timers, limit, "", 1)
		if len(later) > 0 {
			next = dueOf(later[0].ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range found {
		if err := o.record(ctx, d, notes[d.instance]); err != nil {
			return err
		}
	}
	o.nextDue, o.firing = next, nil
	return nil
}

func unmarshalDue(data []byte, n *dueNote, d *due, id *string) error {
	if err := json.Unmarshal(data, n); err != nil {
		return fmt.Errorf("timer %q: %w", d.key, err)
	}
	d.instance, d.name, *id = n.Instance, n.Name, n.Instance
	return nil
}

// record appends the event of a timer. The timer stays until its event is handled.
// Recording it again finds the event that is already there.
func (o *owner[T, E, S, C]) record(ctx context.Context, d due, n *note) error {
	for i := range n.Timers {
		t := &n.Timers[i]
		if t.Name != d.name {
			continue
		}
		event := store.Event{
			ID:   timerID(o.r.name, d.instance, t.Start, t.Name),
			Type: t.Type, Schema: t.Schema, ContentType: t.ContentType, Data: t.Data,
			Meta: store.Metadata{
				CorrelationID: t.Correlation, CausationID: t.Cause,
				Headers: map[string]string{headerTimer: t.Name, headerStart: t.Start.String()},
			},
		}
		maps.Copy(event.Meta.Headers, t.Trace)
		stream := store.Stream{Type: o.r.name, ID: d.instance}
		appended, err := o.r.log.Append(ctx, stream, store.Any, []store.Event{event})
		if err != nil {
			return fmt.Errorf("record timer %q of instance %q: %w", t.Name, d.instance, err)
		}
		o.fired[d.key] = appended.Position
		o.r.notify(ctx, Notice{Kind: TimerFired, Instance: d.instance, Position: appended.Position, EventID: event.ID})
	}
	return nil
}
