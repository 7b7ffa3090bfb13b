package postgres

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

// LoadDocuments is [store.Documents.LoadDocuments].
func (s *Store) LoadDocuments(ctx context.Context, kind string, ids []string) (docs []store.Document, err error) {
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		docs, err = b.loadDocuments(ctx, q, s.tenant, kind, ids)
		return err
	})
	return docs, err
}

// ScanDocuments is [store.Documents.ScanDocuments].
func (s *Store) ScanDocuments(ctx context.Context, kind, from, to string, limit int) (docs []store.Document, err error) {
	b := s.backend
	err = b.read(ctx, func(ctx context.Context, q querier) error {
		docs, err = b.scanDocuments(ctx, q, s.tenant, kind, from, to, limit)
		return err
	})
	return docs, err
}

// LoadDocuments is [store.DocumentTx.LoadDocuments].
func (t *Tx) LoadDocuments(kind string, ids []string) (docs []store.Document, err error) {
	err = t.call(func(ctx context.Context, b *backend) error {
		docs, err = b.loadDocuments(ctx, t.Tx, t.store.tenant, kind, ids)
		return err
	})
	return docs, err
}

// ScanDocuments is [store.DocumentTx.ScanDocuments].
func (t *Tx) ScanDocuments(kind, from, to string, limit int) (docs []store.Document, err error) {
	err = t.call(func(ctx context.Context, b *backend) error {
		docs, err = b.scanDocuments(ctx, t.Tx, t.store.tenant, kind, from, to, limit)
		return err
	})
	return docs, err
}

// SaveDocuments is [store.DocumentTx.SaveDocuments].
func (t *Tx) SaveDocuments(docs []store.Document) error {
	if err := store.ValidateDocuments(docs); err != nil {
		return err
	}
	if t.done {
		return store.ErrTxDone
	}
	saved, removed := columnsOf(docs)
	return t.call(func(ctx context.Context, b *backend) error {
		if len(removed.ids) > 0 {
			if _, err := t.Tx.Exec(ctx, b.sql.removeDocuments, t.store.tenant, removed.kinds, removed.ids); err != nil {
				return err
			}
		}
		if len(saved.ids) > 0 {
			if _, err := t.Tx.Exec(ctx, b.sql.saveDocuments, t.store.tenant, saved.kinds, saved.ids, saved.data); err != nil {
				return err
			}
		}
		return nil
	})
}

// documentColumns holds documents, column by column.
type documentColumns struct {
	kinds, ids []string
	data       [][]byte
}

// columnsOf returns the documents to save and those to remove. Of several documents
// with one name it returns only the last, because a statement cannot write a row twice.
// It sorts them by name, so that two transactions cannot deadlock.
func columnsOf(docs []store.Document) (saved, removed documentColumns) {
	order := make([]int, len(docs))
	for i := range order {
		order[i] = i
	}
	compare := func(i, j int) int {
		if c := strings.Compare(docs[i].Kind, docs[j].Kind); c != 0 {
			return c
		}
		return strings.Compare(docs[i].ID, docs[j].ID)
	}
	slices.SortStableFunc(order, compare)
	for n, i := range order {
		if n+1 < len(order) && compare(i, order[n+1]) == 0 {
			continue // the next one has the same name and replaces this one
		}
		c := &saved
		if docs[i].Data == nil {
			c = &removed
		}
		c.kinds = append(c.kinds, docs[i].Kind)
		c.ids = append(c.ids, docs[i].ID)
		c.data = append(c.data, docs[i].Data)
	}
	return saved, removed
}

func (b *backend) loadDocuments(ctx context.Context, q querier, tenant, kind string, ids []string) ([]store.Document, error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	docs := make([]store.Document, len(ids))
	places := make(map[string][]int, len(ids))
	for i, id := range ids {
		docs[i] = store.Document{Kind: kind, ID: id}
		places[id] = append(places[id], i)
	}
	if len(ids) == 0 {
		return docs, nil
	}
	err := eachDocument(ctx, q, func(id string, data []byte) {
		for n, i := range places[id] {
			docs[i].Data = data
			if n > 0 {
				docs[i].Data = append([]byte{}, data...) // not nil, because nil means no document
			}
		}
	}, b.sql.loadDocuments, tenant, kind, ids)
	if err != nil {
		return nil, err
	}
	return docs, nil
}

func (b *backend) scanDocuments(
	ctx context.Context, q querier, tenant, kind, from, to string, limit int,
) (docs []store.Document, err error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = store.DefaultLimit
	}
	query, args := b.sql.scanDocuments, []any{tenant, kind, from, int64(min(limit, math.MaxInt32))}
	if to != "" {
		query, args = b.sql.scanDocumentsTo, append(args, to)
	}
	err = eachDocument(ctx, q, func(id string, data []byte) {
		docs = append(docs, store.Document{Kind: kind, ID: id, Data: data})
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// eachDocument calls do with each row of query, which is an id and data that is not
// nil.
func eachDocument(ctx context.Context, q querier, do func(id string, data []byte), query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		data := []byte{}
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		do(id, data)
	}
	return rows.Err()
}
