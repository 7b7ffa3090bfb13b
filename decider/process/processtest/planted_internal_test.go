package processtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// tx is the transaction of a target with bugs.
type tx struct {
	*memory.Tx
	bugs *target
}

// target is a target whose transactions have bugs.
type target struct {
	*memory.Store
	save     func([]store.Document) []store.Document
	loaded   func(kind string, docs []store.Document) []store.Document
	conflict bool // is ignored
}

// Update is that of the store.
func (t *target) Update(ctx context.Context, do func(tx *tx) error) error {
	return t.Store.Update(ctx, func(inner *memory.Tx) error { return do(&tx{inner, t}) })
}

// SaveDocuments saves what the bug makes of docs.
func (x *tx) SaveDocuments(docs []store.Document) error {
	if x.bugs.save != nil {
		docs = x.bugs.save(docs)
	}
	return x.Tx.SaveDocuments(docs)
}

// LoadDocuments returns what the bug makes of what there is.
func (x *tx) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	docs, err := x.Tx.LoadDocuments(kind, ids)
	if x.bugs.loaded != nil {
		docs = x.bugs.loaded(kind, docs)
	}
	return docs, err
}

// SaveCheckpoint ignores a conflict if that is the bug.
func (x *tx) SaveCheckpoint(name string, from, to store.Checkpoint) error {
	err := x.Tx.SaveCheckpoint(name, from, to)
	if x.bugs.conflict && errors.Is(err, store.ErrConflict) {
		at, err := x.LoadCheckpoint(name)
		if err != nil || to.Position <= at.Position {
			return err
		}
		return x.Tx.SaveCheckpoint(name, at, to)
	}
	return err
}

// log is a log with bugs.
type log struct {
	process.Store
	head   bool                          // is always 0
	append func(store.Event) store.Event // what the process records itself
}

// Head is that of the log, or 0.
func (l *log) Head(ctx context.Context) (uint64, error) {
	if l.head {
		return 0, nil
	}
	return l.Store.Head(ctx)
}

// Append appends what the bug makes of events of the process.
func (l *log) Append(ctx context.Context, s store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if l.append != nil && s.Type == name {
		events = []store.Event{l.append(events[0])}
	}
	return l.Store.Append(ctx, s, expected, events)
}

func setup(*testing.T) Setup[*tx] {
	st := memory.New()
	return Setup[*tx]{Log: st, Target: &target{Store: st}}
}

// onNotes rewrites the notes of instances that are saved; false removes one.
func onNotes(change func(note map[string]any) bool) plant[*tx] {
	return onTarget(func(t *target) {
		t.save = func(docs []store.Document) []store.Document {
			docs = append([]store.Document(nil), docs...)
			for i := range docs {
				var note map[string]any
				if !strings.HasSuffix(docs[i].Kind, "/instance") || json.Unmarshal(docs[i].Data, &note) != nil {
					continue
				}
				if docs[i].Data = nil; change(note) {
					docs[i].Data, _ = json.Marshal(note)
				}
			}
			return docs
		}
	})
}

func onTarget(change func(*target)) plant[*tx] {
	return plant[*tx]{onTarget: func(t projection.Target[*tx]) projection.Target[*tx] {
		inner, ok := t.(*target)
		if !ok {
			return t
		}
		c := *inner
		change(&c)
		return &c
	}}
}

func onSend(change func(next send) send) plant[*tx] { return plant[*tx]{onSend: change} }

func onLog(l log) plant[*tx] {
	return plant[*tx]{onLog: func(st process.Store) process.Store {
		c := l
		c.Store = st
		return &c
	}}
}

// renamed sends every command under the id that id says.
func renamed(id func(c command, n int) string) plant[*tx] {
	return onSend(func(next send) send {
		var mu sync.Mutex
		n := map[string]int{}
		return func(ctx context.Context, c command) error {
			mu.Lock()
			at := fmt.Sprint(c.Instance, c.Cause.Position)
			c.ID = id(c, n[at])
			n[at]++
			mu.Unlock()
			return next(ctx, c)
		}
	})
}

// TestPlanted checks that each law finds a bug that breaks it.
func TestPlanted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		law string // its name
		bug plant[*tx]
	}{
		"fresh ids":                 {"effect once", renamed(func(command, int) string { return store.NewID() })},
		"ids by the index":          {"ids follow", renamed(func(c command, n int) string { return fmt.Sprint(c.Instance, c.Cause.Position, n) })},
		"saved, then sent":          {"sent, then saved", onSend(sentLater)},
		"one instance at a time":    {"in order", plant[*tx]{onRuntime: one[*tx]}},
		"the second command first":  {"in order", onSend(swapped)},
		"a watermark of positions":  {"each event of a split one", onNotes(wholePositions)},
		"the page waits":            {"a failing instance keeps", onSend(stubborn)},
		"no end of the budget":      {"a pure failure", plant[*tx]{onRuntime: func(r *runtime[*tx]) *runtime[*tx] { return r.WithBudget(time.Hour) }}},
		"no pauses":                 {"a pure failure", onSend(impatient)},
		"release skips":             {"release begins", onNotes(skipReleased)},
		"a timer under a fresh id":  {"a timer fires once", onLog(log{append: func(e store.Event) store.Event { e.ID = store.NewID(); return e }})},
		"a timer without causation": {"a timer fires once", onLog(log{append: func(e store.Event) store.Event { e.Meta.CausationID = ""; return e }})},
		"the head is not looked at": {"a timer overtakes nothing", onLog(log{head: true})},
		"the header is not written": {"a timer that was stopped", onLog(log{append: func(e store.Event) store.Event { e.Meta.Headers = nil; return e }})},
		"a failed send counts":      {"a timer counts once", onSend(swallow)},
		"an ended one is forgotten": {"over is over", onNotes(func(note map[string]any) bool { return note["over"] != true })},
		"replay reacts":             {"rebuilt from the log", onTarget(alwaysActive)},
		"nobody is superseded":      {"a new version", onTarget(neverActive)},
		"a rejection is retried":    {"a rejection", onSend(unrejected)},
		"a rejection is dropped":    {"a rejection", onSend(swallow)},
		"a new id after a doubt":    {"an unknown outcome", onSend(doubting)},
		"a doubt counts":            {"an unknown outcome", onSend(swallow)},
		"new ids after a restore":   {"what a restored instance", plant[*tx]{onSend: again()}},
		"pending is not asked":      {"what a restored instance", onTarget(alwaysActive)},
		"no metadata":               {"correlation", onSend(causeless)},
		"a conflict is ignored":     {"two owners", onTarget(func(t *target) { t.conflict = true })},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := false
			for _, l := range laws[*tx]() {
				if !strings.HasPrefix(l.name, tt.law) {
					continue
				}
				found = true
				synctest.Test(t, func(t *testing.T) {
					if err := l.check(t, setup, tt.bug); err == nil {
						t.Errorf("law %s does not find it", l.id)
					} else {
						t.Log(err)
					}
				})
			}
			if !found {
				t.Fatalf("no law is called %q", tt.law)
			}
		})
	}
}

// TestWithoutBugs checks the laws themselves on the target that the bugs are planted
// in.
func TestWithoutBugs(t *testing.T) {
	t.Parallel()
	Run(t, setup)
}

func sentLater(next send) send {
	return func(ctx context.Context, c command) error {
		go func() {
			time.Sleep(5 * time.Second)
			_ = next(context.WithoutCancel(ctx), c)
		}()
		return nil
	}
}

// swapped sends each command that ends in x after the one that follows it.
func swapped(next send) send {
	var mu sync.Mutex
	kept := map[string]command{}
	return func(ctx context.Context, c command) error {
		mu.Lock()
		first, ok := kept[c.Instance]
		delete(kept, c.Instance)
		if strings.HasSuffix(c.Command, "x") {
			kept[c.Instance] = c
			mu.Unlock()
			return nil
		}
		mu.Unlock()
		err := next(ctx, c)
		if ok {
			err = errors.Join(err, next(ctx, first))
		}
		return err
	}
}

func wholePositions(note map[string]any) bool {
	if at, ok := note["at"].(map[string]any); ok {
		at["index"] = 99
	}
	return true
}

func stubborn(next send) send {
	return func(ctx context.Context, c command) error {
		for {
			if err := next(context.WithoutCancel(ctx), c); err == nil || ctx.Err() != nil {
				return err
			}
			time.Sleep(time.Second)
		}
	}
}

func impatient(next send) send {
	return func(ctx context.Context, c command) (err error) {
		for range 10 {
			if err = next(ctx, c); err == nil {
				return nil
			}
		}
		return err
	}
}

func skipReleased(note map[string]any) bool {
	if f, ok := note["failing"].(map[string]any); ok && f["attempts"] == nil && f["cause"] != nil {
		note["skipped"] = []any{f["at"]}
	}
	return true
}

func swallow(next send) send {
	return func(ctx context.Context, c command) error {
		_ = next(ctx, c)
		return ctx.Err()
	}
}

func alwaysActive(t *target) {
	t.loaded = func(kind string, docs []store.Document) []store.Document {
		if kind == "process" && docs[0].ID == name {
			docs[0].Data = []byte(`{"version":1}`)
		}
		return docs
	}
}

func neverActive(t *target) {
	t.loaded = func(kind string, docs []store.Document) []store.Document {
		if kind == "process" && docs[0].ID == name {
			docs[0].Data = nil
		}
		return docs
	}
}

func unrejected(next send) send {
	return func(ctx context.Context, c command) error {
		err := next(ctx, c)
		if errors.Is(err, runner.ErrRejected) {
			return errDown
		}
		return err
	}
}

func doubting(next send) send {
	var mu sync.Mutex
	n := 0
	return func(ctx context.Context, c command) error {
		mu.Lock()
		c.ID += strconv.Itoa(n)
		mu.Unlock()
		err := next(ctx, c)
		if errors.Is(err, runner.ErrUnknownOutcome) {
			mu.Lock()
			n++
			mu.Unlock()
		}
		return err
	}
}

// again returns a bug: the ids of the second run are others.
func again() func(send) send {
	runs := 0
	return func(next send) send {
		runs++
		run := runs
		return func(ctx context.Context, c command) error {
			c.ID += strconv.Itoa(run)
			return next(ctx, c)
		}
	}
}

func causeless(next send) send {
	return func(ctx context.Context, c command) error {
		c.Cause = &store.Recorded{Position: c.Cause.Position}
		return next(ctx, c)
	}
}
