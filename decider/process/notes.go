package process

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// note is what the target stores about an instance.
type note struct {
	State     json.RawMessage `json:"state,omitempty"`
	At        mark            `json:"at"`                  // the last input that took effect
	Over      bool            `json:"over,omitempty"`      // it has ended permanently
	Abandoned bool            `json:"abandoned,omitempty"` // it was ended by Abandon
	Timers    []timer         `json:"timers,omitempty"`
	Failing   *failing        `json:"failing,omitempty"`
	Skipped   []mark          `json:"skipped,omitempty"`
}

// timer is a running timer.
type timer struct {
	Name        string `json:"name"`
	Due         int64  `json:"due"` // microseconds since 1970
	Start       mark   `json:"start"`
	Cause       string `json:"cause"` // the ID of the event that started it
	Correlation string `json:"correlation,omitempty"`
	// Trace holds the headers of that event that say which trace it belongs to.
	Trace       map[string]string `json:"trace,omitempty"`
	Type        string            `json:"type"`
	Schema      uint32            `json:"schema,omitempty"`
	ContentType string            `json:"contentType,omitempty"`
	Data        []byte            `json:"data"`
}

// is reports whether o is the same start of the same timer.
func (t *timer) is(o timer) bool { return o.Name == t.Name && o.Start == t.Start }

// failing says why an instance waits.
type failing struct {
	At          mark      `json:"at"` // the input that failed
	Cause       string    `json:"cause,omitempty"`
	Since       time.Time `json:"since"`
	Attempts    int       `json:"attempts,omitempty"`
	Quarantined bool      `json:"quarantined,omitempty"` // until it is released, skipped or abandoned
}

// buildNote is what the target stores about a version of a process.
type buildNote struct {
	Turn   uint64 `json:"turn"`             // counts the changes that do not move the checkpoint
	Wanted int    `json:"wanted,omitempty"` // the later version that wants to take over
}

// dueNote names the instance of a timer that is due.
type dueNote struct {
	Instance string `json:"instance"`
	Name     string `json:"name"`
}

// activeNote says which version of a process is active.
type activeNote struct {
	Version int `json:"version"`
}

// The kinds of a process's documents. Each build has its own kinds, except for builds.
const builds = "process"

type kinds struct{ instances, timers, waiting, marked string }

func kindsOf(build string) kinds {
	return kinds{
		instances: "process/" + build + "/instance", timers: "process/" + build + "/timer",
		waiting: "process/" + build + "/waiting", marked: "process/" + build + "/marked",
	}
}

// sep separates the parts of a key. No part contains it.
const sep = "\x01"

// timerKey sorts timers by due time.
func timerKey(instance string, t *timer) string {
	return dueKey(t.Due) + sep + makeID(instance, t.Name, t.Start.String())
}

func dueKey(due int64) string { return fmt.Sprintf("%020d", max(due, 0)) }

// waitingKey sorts the waiting inputs of an instance by position.
func waitingKey(instance string, position uint64) string {
	return makeID(instance) + sep + fmt.Sprintf("%020d", position)
}

// waitingRange returns the range of the keys of an instance.
func waitingRange(instance string) (from, to string) {
	id := makeID(instance)
	return id + sep, id + "\x02"
}

func positionOf(key string) uint64 {
	position, _ := strconv.ParseUint(key[strings.LastIndex(key, sep)+1:], 10, 64)
	return position
}

// document returns value as a document.
func document(kind, id string, value any) (store.Document, error) {
	data, err := json.Marshal(value)
	return store.Document{Kind: kind, ID: id, Data: data}, err
}

// documents is a source of documents.
type documents interface {
	LoadDocuments(kind string, ids []string) ([]store.Document, error)
}

// reading loads documents outside of a transaction.
type reading struct {
	ctx  context.Context //nolint:containedctx // of the one call it is for
	from store.Documents
}

// LoadDocuments is [store.Documents.LoadDocuments].
func (r reading) LoadDocuments(kind string, ids []string) ([]store.Document, error) {
	return r.from.LoadDocuments(r.ctx, kind, ids)
}

// load reads the note called id about a process or a build into value. It reports whether
// there is one.
func load(tx documents, id string, value any) (bool, error) {
	docs, err := tx.LoadDocuments(builds, []string{id})
	if err != nil || docs[0].Data == nil {
		return false, err
	}
	if err := json.Unmarshal(docs[0].Data, value); err != nil {
		return false, fmt.Errorf("document %q of kind %q: %w", id, builds, err)
	}
	return true, nil
}

// saveAll writes docs, in as many calls as it takes.
func saveAll(tx store.DocumentTx, docs []store.Document) error {
	for part := range slices.Chunk(docs, store.MaxDocuments/2) {
		if err := tx.SaveDocuments(part); err != nil {
			return err
		}
	}
	return nil
}

// change returns the documents that replace the stored note of an instance, before, by
// after.
func (k kinds) change(instance string, before, after *note) ([]store.Document, error) {
	doc, err := document(k.instances, instance, after)
	if err != nil {
		return nil, err
	}
	docs := []store.Document{doc}
	for i := range before.Timers {
		if !slices.ContainsFunc(after.Timers, before.Timers[i].is) {
			docs = append(docs, store.Document{Kind: k.timers, ID: timerKey(instance, &before.Timers[i])})
		}
	}
	for i := range after.Timers {
		t := &after.Timers[i]
		if slices.ContainsFunc(before.Timers, t.is) {
			continue
		}
		due, err := document(k.timers, timerKey(instance, t), dueNote{Instance: instance, Name: t.Name})
		if err != nil {
			return nil, err
		}
		docs = append(docs, due)
	}
	marked := func(n *note) bool { return n.Failing != nil || n.Abandoned || len(n.Skipped) > 0 }
	switch {
	case marked(after):
		docs = append(docs, store.Document{Kind: k.marked, ID: instance, Data: []byte{}})
	case marked(before):
		docs = append(docs, store.Document{Kind: k.marked, ID: instance})
	}
	return docs, nil
}

// view calls do with the contents of the target, in a transaction that writes nothing.
func (r *Runtime[T, E, S, C]) view(ctx context.Context, do func(tx store.DocumentTx, load func(name string) (store.Checkpoint, error)) error) error {
	return r.target.Update(ctx, func(tx T) error { return do(tx, tx.LoadCheckpoint) })
}

// scan calls each with all documents of kind with from ≤ id < to.
func scan(tx store.DocumentTx, kind, from, to string, each func(store.Document) error) error {
	for {
		docs, err := tx.ScanDocuments(kind, from, to, store.DefaultLimit)
		if err != nil {
			return err
		}
		for i := range docs {
			if err := each(docs[i]); err != nil {
				return err
			}
		}
		if len(docs) < store.DefaultLimit {
			return nil
		}
		from = docs[len(docs)-1].ID + "\x01"
	}
}

func unmarshalNote(d store.Document, n *note) error {
	if err := json.Unmarshal(d.Data, n); err != nil {
		return fmt.Errorf("document %q of kind %q: %w", d.ID, d.Kind, err)
	}
	return nil
}

// skipped reports whether an input was skipped.
func skipped(n *note, at mark) bool { return slices.Contains(n.Skipped, at) }

// loadNotes reads the notes of instances. It returns new notes for instances without one.
func loadNotes(tx store.DocumentTx, kind string, ids []string) (map[string]*note, error) {
	all := make(map[string]*note, len(ids))
	for part := range slices.Chunk(ids, store.MaxDocuments) {
		docs, err := tx.LoadDocuments(kind, part)
		if err != nil {
			return nil, err
		}
		for i := range docs {
			n := &note{}
			if docs[i].Data != nil {
				if err := unmarshalNote(docs[i], n); err != nil {
					return nil, err
				}
			}
			all[part[i]] = n
		}
	}
	return all, nil
}
