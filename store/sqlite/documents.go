package sqlite

import (
	"context"
	"database/sql"

	"github.com/evolvego/evolve/store"
)

const (
	loadDocument = `SELECT data FROM document WHERE tenant = ? AND kind = ? AND id = ?`
	// An empty bound is none, as no id is empty. Ids are compared by their bytes.
	scanDocuments = `SELECT id, data FROM document WHERE tenant = ? AND kind = ? AND id >= ? ORDER BY id LIMIT ? + 0`
	scanBounded   = `SELECT id, data FROM document WHERE tenant = ? AND kind = ? AND id >= ? AND id < ? ORDER BY id LIMIT ? + 0`
	saveDocument  = `INSERT INTO document (tenant, kind, id, data) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data`
	dropDocument  = `DELETE FROM document WHERE tenant = ? AND kind = ? AND id = ?`
)

// querier is what documents are read with: a reader, or the writer.
type querier interface {
	one(ctx context.Context, query string, args, to []any) (bool, error)
	each(ctx context.Context, query string, args []any, add func(*sql.Rows) (bool, error)) error
}

// tenantID returns the id of the tenant called name, 0 if there is none.
func tenantID(ctx context.Context, q querier, name string) (id int64, err error) {
	_, err = q.one(ctx, "SELECT id FROM tenant WHERE name = ?", []any{name}, []any{&id})
	return id, err
}

// loadAll is LoadDocuments.
func loadAll(ctx context.Context, q querier, tenant, kind string, ids []string) ([]store.Document, error) {
	t, err := tenantID(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	docs := make([]store.Document, len(ids))
	for i, id := range ids {
		docs[i] = store.Document{Kind: kind, ID: id}
		found, err := q.one(ctx, loadDocument, []any{t, kind, id}, []any{&docs[i].Data})
		if err != nil {
			return nil, err
		}
		if found && docs[i].Data == nil {
			docs[i].Data = []byte{} // empty, but there
		}
	}
	return docs, nil
}

// scan is ScanDocuments.
func scan(ctx context.Context, q querier, tenant, kind, from, to string, limit int) ([]store.Document, error) {
	t, err := tenantID(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = store.DefaultLimit
	}
	query, args := scanDocuments, []any{t, kind, from, limit}
	if to != "" {
		query, args = scanBounded, []any{t, kind, from, to, limit}
	}
	var docs []store.Document
	err = q.each(ctx, query, args, func(rows *sql.Rows) (bool, error) {
		doc := store.Document{Kind: kind}
		err := rows.Scan(&doc.ID, &doc.Data)
		if doc.Data == nil {
			doc.Data = []byte{}
		}
		docs = append(docs, doc)
		return true, err
	})
	return docs, err
}

// LoadDocuments is [store.Documents.LoadDocuments].
func (s *Store) LoadDocuments(ctx context.Context, kind string, ids []string) (docs []store.Document, err error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	err = s.backend.reading(ctx, func(ctx context.Context, r *reader) (err error) {
		docs, err = loadAll(ctx, r, s.tenant, kind, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// ScanDocuments is [store.Documents.ScanDocuments].
func (s *Store) ScanDocuments(ctx context.Context, kind, from, to string, limit int) (docs []store.Document, err error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil {
		return nil, err
	}
	err = s.backend.reading(ctx, func(ctx context.Context, r *reader) (err error) {
		docs, err = scan(ctx, r, s.tenant, kind, from, to, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// LoadDocuments is [store.DocumentTx.LoadDocuments].
func (t *Tx) LoadDocuments(kind string, ids []string) (docs []store.Document, err error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	err = t.do(func(w *writer) (err error) {
		docs, err = loadAll(t.ctx, w, t.store.tenant, kind, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// ScanDocuments is [store.DocumentTx.ScanDocuments].
func (t *Tx) ScanDocuments(kind, from, to string, limit int) (docs []store.Document, err error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil {
		return nil, err
	}
	err = t.do(func(w *writer) (err error) {
		docs, err = scan(t.ctx, w, t.store.tenant, kind, from, to, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return docs, nil
}

// SaveDocuments is [store.DocumentTx.SaveDocuments].
func (t *Tx) SaveDocuments(docs []store.Document) error {
	if err := store.ValidateDocuments(docs); err != nil {
		return err
	}
	return t.do(func(w *writer) error {
		if len(docs) == 0 {
			return nil
		}
		tenant, err := w.tenant(t.store.tenant, true)
		if err != nil {
			return err
		}
		for i := range docs {
			d := &docs[i]
			if d.Data == nil {
				err = w.exec(dropDocument, tenant.id, d.Kind, d.ID)
			} else {
				err = w.exec(saveDocument, tenant.id, d.Kind, d.ID, d.Data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
