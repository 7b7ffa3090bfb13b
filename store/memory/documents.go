package memory

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/evolvego/evolve/store"
)

// documents holds the documents of a tenant.
type documents struct {
	mu      sync.RWMutex
	shelves map[string]*shelf // by kind, guarded by mu
}

// shelf holds the documents of one kind.
type shelf struct {
	data map[string][]byte // by id
	runs [][]string        // all ids in order, in runs of 1 to maxRun
}

// maxRun is the maximum number of ids in a run. It limits how many ids move when one is
// inserted.
const maxRun = 512

// document returns the data saved under kind and id, or nil if there is none. The
// caller holds mu.
func (d *documents) document(kind, id string) []byte {
	if s := d.shelves[kind]; s != nil {
		return s.data[id]
	}
	return nil
}

// save stores data under kind and id without copying it. Nil removes the document. The
// caller holds mu.
func (d *documents) save(kind, id string, data []byte) {
	s := d.shelves[kind]
	if s == nil {
		if data == nil {
			return
		}
		if d.shelves == nil {
			d.shelves = make(map[string]*shelf)
		}
		s = &shelf{data: make(map[string][]byte)}
		d.shelves[kind] = s
	}
	_, had := s.data[id]
	switch {
	case data != nil && !had:
		s.insert(id)
	case data == nil && had:
		s.remove(id)
	}
	if data == nil {
		delete(s.data, id)
		return
	}
	s.data[id] = data
}

// scan yields the documents of kind, beginning at the id from. The caller holds mu.
func (d *documents) scan(kind, from string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		s := d.shelves[kind]
		if s == nil || len(s.runs) == 0 {
			return
		}
		first := s.run(from)
		at, _ := slices.BinarySearch(s.runs[first], from)
		for _, run := range s.runs[first:] {
			for _, id := range run[min(at, len(run)):] {
				if !yield(id, s.data[id]) {
					return
				}
			}
			at = 0
		}
	}
}

// run returns the index of the run that contains id or would contain it: the last run
// that begins at or before id. There must be at least one run.
func (s *shelf) run(id string) int {
	i, found := slices.BinarySearchFunc(s.runs, id, func(run []string, id string) int { return cmp.Compare(run[0], id) })
	if found || i == 0 {
		return i
	}
	return i - 1
}

func (s *shelf) insert(id string) {
	if len(s.runs) == 0 {
		s.runs = [][]string{{id}}
		return
	}
	i := s.run(id)
	at, _ := slices.BinarySearch(s.runs[i], id)
	s.runs[i] = slices.Insert(s.runs[i], at, id)
	if run := s.runs[i]; len(run) > maxRun {
		half := len(run) / 2
		if i == len(s.runs)-1 && at == len(run)-1 {
			half = len(run) - 1 // ids that are inserted in order fill their runs
		}
		s.runs[i] = run[:half:half]
		s.runs = slices.Insert(s.runs, i+1, slices.Clone(run[half:]))
	}
}

func (s *shelf) remove(id string) {
	i := s.run(id)
	at, _ := slices.BinarySearch(s.runs[i], id)
	s.runs[i] = slices.Delete(s.runs[i], at, at+1)
	if len(s.runs[i]) == 0 {
		s.runs = slices.Delete(s.runs, i, i+1)
	}
}

// LoadDocuments is [store.Documents.LoadDocuments].
func (m *Store) LoadDocuments(ctx context.Context, kind string, ids []string) ([]store.Document, error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	return m.loadDocuments(kind, ids, nil), nil
}

// ScanDocuments is [store.Documents.ScanDocuments].
func (m *Store) ScanDocuments(ctx context.Context, kind, from, to string, limit int) ([]store.Document, error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil {
		return nil, err
	}
	if err := m.ready(ctx); err != nil {
		return nil, err
	}
	return m.scanDocuments(kind, from, to, limit, nil), nil
}

// changed holds the documents that a transaction has saved but not committed, by kind
// and id. A removed document is nil.
type changed map[string]map[string][]byte

func (m *Store) loadDocuments(kind string, ids []string, over changed) []store.Document {
	docs := make([]store.Document, len(ids))
	m.documents.mu.RLock()
	defer m.documents.mu.RUnlock()
	for i, id := range ids {
		data, ok := over[kind][id]
		if !ok {
			data = m.documents.document(kind, id)
		}
		docs[i] = store.Document{Kind: kind, ID: id, Data: bytes.Clone(data)}
	}
	return docs
}

// scanDocuments merges the committed documents and those of over, in order of their
// ids.
func (m *Store) scanDocuments(kind, from, to string, limit int, over changed) []store.Document {
	limit = cmp.Or(limit, store.DefaultLimit)
	var staged []string
	for id := range over[kind] {
		if id >= from {
			staged = append(staged, id)
		}
	}
	slices.Sort(staged)
	var docs []store.Document
	add := func(id string, data []byte) bool {
		if len(docs) == limit || to != "" && id >= to {
			return false
		}
		if data != nil {
			docs = append(docs, store.Document{Kind: kind, ID: id, Data: bytes.Clone(data)})
		}
		return true
	}
	m.documents.mu.RLock()
	defer m.documents.mu.RUnlock()
	for id, data := range m.documents.scan(kind, from) {
		for len(staged) > 0 && staged[0] < id {
			if !add(staged[0], over[kind][staged[0]]) {
				return docs
			}
			staged = staged[1:]
		}
		if len(staged) > 0 && staged[0] == id {
			data, staged = over[kind][id], staged[1:]
		}
		if !add(id, data) {
			return docs
		}
	}
	for _, id := range staged {
		add(id, over[kind][id])
	}
	return docs
}
