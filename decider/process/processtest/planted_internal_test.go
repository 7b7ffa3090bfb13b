package processtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// Update calls the store's Update.
func (t *target) Update(ctx context.Context, do func(tx *tx) error) error {
	return t.Store.Update(ctx, func(inner *memory.Tx) error { return do(&tx{inner, t}) })
}

// SaveDocuments saves the documents that the bug returns for docs.
func (x *tx) SaveDocuments(docs []store.Document) error {
	if x.bugs.save != nil {
		docs = x.bugs.save(docs)
	}
	return x.Tx.SaveDocuments(docs)
}

// LoadDocuments returns the documents that the bug returns for the stored ones.
func (x *tx) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	docs, err := x.Tx.LoadDocuments(kind, ids)
	if x.bugs.loaded != nil {
		docs = x.bugs.loaded(kind, docs)
	}
	return docs, err
}

// SaveCheckpoint ignores a conflict if the bug says so.
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
	head   bool                          // always 0
	append func(store.Event) store.Event // changes the events that the process records
}

// Head returns the head of the log, or 0.
func (l *log) Head(ctx context.Context) (uint64, error) {
	if l.head {
		return 0, nil
	}
	return l.Store.Head(ctx)
}

// Append appends events of the process as the bug changes them.
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

// onNotes returns a bug that changes the saved notes of instances. If change returns
// false, the note is removed.
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

// renamed returns a bug that sends every command under the ID that id returns.
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

// reaching is a bug, the law that it breaks, and a part of what the law says about it.
type reaching struct {
	law  string // its name begins with this
	says string
	bug  plant[*tx]
}

// plants returns bugs that such a runtime could have.
func plants() map[string]reaching {
	return map[string]reaching{
		"fresh ids":                         {"each command takes effect once", "with a crash at place", renamed(func(command, int) string { return store.NewID() })},
		"ids by the index":                  {"ids follow", "the executed commands", renamed(func(c command, n int) string { return fmt.Sprint(c.Instance, c.Cause.Position, n) })},
		"saved, then sent":                  {"sent, then saved", "the checkpoint is at position", onSend(sentLater)},
		"one instance at a time":            {"in order", "and job b waits for it", plant[*tx]{onRuntime: one[*tx]}},
		"the second command first":          {"in order", "the executed commands", onSend(swapped)},
		"a watermark of positions":          {"each part of a split event", "the executed commands", onNotes(wholePositions)},
		"the page waits":                    {"a failing instance keeps", "wait for position 2", onSend(stubborn)},
		"no end of the budget":              {"a permanent failure", "after the budget is spent", plant[*tx]{onRuntime: func(r *runtime[*tx]) *runtime[*tx] { return r.WithBudget(time.Hour) }}},
		"no pauses":                         {"a permanent failure", "in 5 minutes", onSend(impatient)},
		"release skips":                     {"release begins", "the executed commands", onNotes(skipReleased)},
		"a timer under a fresh id":          {"a timer fires once", "a timer was recorded", onLog(log{append: func(e store.Event) store.Event { e.ID = store.NewID(); return e }})},
		"a timer without causation":         {"a timer fires once", "the event of the timer carries", onLog(log{append: func(e store.Event) store.Event { e.Meta.CausationID = ""; return e }})},
		"the head is not read":              {"a timer overtakes nothing", "timers overtook events", onLog(log{head: true})},
		"the header is not written":         {"a timer that was stopped", "the executed commands", onLog(log{append: func(e store.Event) store.Event { e.Meta.Headers = nil; return e }})},
		"a failed send counts":              {"a timer counts once", "while its command cannot be sent", onSend(swallow)},
		"an ended instance is forgotten":    {"an ended instance stays over", "timers of an ended instance fired", onNotes(func(note map[string]any) bool { return note["over"] != true })},
		"replay reacts":                     {"a rebuild from the log", "a rebuild has sent", onTarget(alwaysActive)},
		"no version is superseded":          {"a new version", "the previous version keeps running", onTarget(neverActive)},
		"a rejection is retried":            {"a rejection", "a rejected command was sent", onSend(unrejected)},
		"a rejection is dropped":            {"a rejection", "by default: ", onSend(swallow)},
		"a new id after an unknown outcome": {"an unknown outcome", "the executed commands", onSend(doubting)},
		"an unknown outcome counts as done": {"an unknown outcome", "3 times was sent 1 times", onSend(swallow)},
		"new ids after a restore":           {"pending commands of a restored instance", "the executed commands", plant[*tx]{onSend: again()}},
		"pending is not called":             {"pending commands of a restored instance", "what was sent again", onTarget(alwaysActive)},
		"no metadata":                       {"correlation", "the metadata of ", onSend(causeless)},
		"a conflict is ignored":             {"two owners", "the paused owner: ", onTarget(func(t *target) { t.conflict = true })},
	}
}

// TestPlanted checks that each law says what its bug is.
func TestPlanted(t *testing.T) {
	t.Parallel()
	all := plants()
	maps.Copy(all, reachings())
	for name, tt := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := ""
			for _, l := range laws[*tx]() {
				if !strings.HasPrefix(l.name, tt.law) {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					if err := l.check(t, setup, tt.bug); err != nil {
						said += err.Error() + "\n"
					}
				})
			}
			if !strings.Contains(said, tt.says) {
				t.Errorf("the law says %q, want %q", said, tt.says)
			}
		})
	}
}

// TestWithoutBugs checks the laws on the target in which the bugs are planted.
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

// late sends each command after a second.
func late(next send) send {
	return func(ctx context.Context, c command) error {
		time.Sleep(time.Second)
		return next(ctx, c)
	}
}

// persistent also sends each command again after seven minutes, whatever happened.
func persistent(next send) send {
	return func(ctx context.Context, c command) error {
		time.AfterFunc(7*time.Minute, func() { _ = next(context.WithoutCancel(ctx), c) })
		return next(ctx, c)
	}
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

// again returns a bug that sends different IDs in the second run.
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
