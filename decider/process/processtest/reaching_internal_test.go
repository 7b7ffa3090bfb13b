package processtest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
)

// silent is a log that does not record what the process appends.
type silent struct{ process.Store }

// Append appends events, but not those of the process.
func (l silent) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if s.Type == name {
		return store.Appended{}, nil
	}
	return l.Store.Append(ctx, s, expected, events)
}

// reachings returns bugs for assertions that no other bug reaches.
func reachings() map[string]reaching {
	unrecorded := plant[*tx]{onLog: func(st process.Store) process.Store { return silent{st} }}
	unsent := onSend(func(send) send { return func(context.Context, command) error { return nil } })
	unnoticed := plant[*tx]{onRuntime: func(r *runtime[*tx]) *runtime[*tx] { return r.WithObserver(nil) }}
	return map[string]reaching{
		"nothing is sent":                    {"ids follow", "the commands of both jobs were not sent", unsent},
		"the pauses are long":                {"a permanent failure", "the pauses do not grow", onSend(late)},
		"a quarantine does not last":         {"a permanent failure", "a quarantined instance is retried", onSend(persistent)},
		"a part is forgotten":                {"each part of a split event", "the command of the first part was sent 2 times", onNotes(noParts)},
		"a failure that is fixed is kept":    {"a failing instance keeps", "after the cause was fixed the progress", onSend(neverFixed)},
		"a failure counts as done":           {"a failing instance keeps", "wait for the job that fails = success", onSend(swallow)},
		"a quarantine is not reported":       {"a permanent failure", "0 times as quarantined", unnoticed},
		"permanent failures are temporary":   {"release begins", "0 instances are quarantined, want 3", onSend(temporary)},
		"a release is not reported":          {"release begins", "was reported 0 times", unnoticed},
		"a timer is not recorded":            {"a timer overtakes nothing", "0 timers fired, want the one", unrecorded},
		"timers that wait are not recorded":  {"a timer that was stopped", "0 timers fired, want 2", unrecorded},
		"an ended instance was abandoned":    {"an ended instance stays over", "want the one that is over", onNotes(abandoned)},
		"a rebuilt instance has other notes": {"a rebuild from the log", "the instances that were rebuilt", rebuiltOtherwise()},
		"an answer has no cause":             {"a rejection", "the answer to a rejection is recorded as", onLog(log{append: func(e store.Event) store.Event { e.Meta.CausationID = ""; return e }})},
		"an answer says something else": {"a rejection", "has not received the answer", onLog(log{append: func(e store.Event) store.Event {
			e.Data = bytes.Replace(e.Data, []byte("no processtest"), []byte("yes"), 1)
			return e
		}})},
		"the budget is short":               {"a permanent failure", "before the budget is spent", plant[*tx]{onRuntime: func(r *runtime[*tx]) *runtime[*tx] { return r.WithBudget(time.Minute) }}},
		"nothing follows a rejection":       {"a rejection", "if a rejection counts as done", onSend(without("after"))},
		"a timer is due too early":          {"a timer overtakes nothing", "2 timers fired before they were due", plant[*tx]{onLog: func(st process.Store) process.Store { return early{st} }}},
		"a version reacts twice":            {"a new version", "the event at position 1 got reactions from [v1 v1]", onSend(twice)},
		"a version reacts as another":       {"a new version", "had handled got reactions from [v2]", onSend(renumbered)},
		"a version forgets the past":        {"a new version", "want everything from the beginning", onSend(without("seen"))},
		"the first version is active again": {"a new version", "again = it is still running", onTarget(activeLater)},
		"a command is sent twice":           {"correlation", "was sent 2 times", onSend(twice)},
		"a timer that fires has no event":   {"correlation", "0 timers fired", unrecorded},
	}
}

// noParts saves the watermark before an event of which the first part is handled.
func noParts(note map[string]any) bool {
	at, _ := note["at"].(map[string]any)
	if position, ok := at["position"].(float64); ok && at["index"] == nil {
		at["position"] = position - 1
	}
	return true
}

func abandoned(note map[string]any) bool {
	note["abandoned"] = note["over"] == true
	return true
}

// rebuiltOtherwise returns a bug of the second target only.
func rebuiltOtherwise() plant[*tx] {
	targets := 0
	forgets := onNotes(func(note map[string]any) bool { delete(note, "timers"); return true })
	return plant[*tx]{onTarget: func(t projection.Target[*tx]) projection.Target[*tx] {
		if targets++; targets == 2 {
			return forgets.onTarget(t)
		}
		return t
	}}
}

// neverFixed fails for an instance that has failed once.
func neverFixed(next send) send {
	var mu sync.Mutex
	failed := map[string]bool{}
	return func(ctx context.Context, c command) error {
		err := next(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		failed[c.Instance] = failed[c.Instance] || err != nil && ctx.Err() == nil
		if failed[c.Instance] {
			return errDown
		}
		return err
	}
}

func temporary(next send) send {
	return func(ctx context.Context, c command) error {
		if err := next(ctx, c); err == nil || !errors.Is(err, projection.ErrPermanent) {
			return err
		}
		return errDown
	}
}

func twice(next send) send {
	return func(ctx context.Context, c command) error { return errors.Join(next(ctx, c), next(ctx, c)) }
}

// without returns a bug that does not send commands that begin with start.
func without(start string) func(send) send {
	return func(next send) send {
		return func(ctx context.Context, c command) error {
			if strings.HasPrefix(c.Command, start) {
				return nil
			}
			return next(ctx, c)
		}
	}
}

func renumbered(next send) send {
	return func(ctx context.Context, c command) error {
		if c.Command == "v1" {
			c.Command = "v2"
		}
		return next(ctx, c)
	}
}

// activeLater returns after five minutes that version 1 is active.
func activeLater(t *target) {
	alwaysActive(t)
	began, active := time.Now(), t.loaded
	t.loaded = func(kind string, docs []store.Document) []store.Document {
		if time.Since(began) < 5*time.Minute {
			return docs
		}
		return active(kind, docs)
	}
}

// early is a log whose events seem to be an hour old.
type early struct{ process.Store }

// Subscribe yields the events of the log, an hour older.
func (l early) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range l.Store.Subscribe(ctx, o) {
			for i := range page.Events {
				page.Events[i].RecordedAt = page.Events[i].RecordedAt.Add(-time.Hour)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}
