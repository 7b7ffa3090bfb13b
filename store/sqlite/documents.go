package sqlite

import (
	"context"

	"github.com/evolvego/evolve/store"
)

const (
	loadDocument = `SELECT data FROM document WHERE tenant = ? AND kind = ? AND id = ?`
	// An empty bound means no bound, because no id is empty. Ids are compared byte by
	// byte.
	scanDocuments = `SELECT id, data FROM document WHERE tenant = ? AND kind = ? AND id >= ? ORDER BY id LIMIT ? + 0`
	scanBounded   = `SELECT id, data FROM document WHERE tenant = ? AND kind = ? AND id >= ? AND id < ? ORDER BY id LIMIT ? + 0`
	saveDocument  = `INSERT INTO document (tenant, kind, id, data) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data`
	dropDocument  = `DELETE FROM document WHERE tenant = ? AND kind = ? AND id = ?`
)

// loadAll is LoadDocuments.
func loadAll(c *conn, tenant, kind string, ids []string) ([]store.Document, error) {
	t, err := c.number(findTenant, text(tenant))
	if err != nil {
		return nil, err
	}
	docs := make([]store.Document, len(ids))
	for i, id := range ids {
		docs[i] = store.Document{Kind: kind, ID: id}
		_, err := c.one(loadDocument, func(s *stmt) { docs[i].Data = s.blob(0) }, number(t), text(kind), text(id))
		if err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// scan is ScanDocuments.
func scan(c *conn, tenant, kind, from, to string, limit int) ([]store.Document, error) {
	t, err := c.number(findTenant, text(tenant))
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = store.DefaultLimit
	}
	query, args := scanDocuments, []value{number(t), text(kind), text(from), number(limit)}
	if to != "" {
		query, args = scanBounded, []value{number(t), text(kind), text(from), text(to), number(limit)}
	}
	var docs []store.Document
	err = c.each(query, func(s *stmt) (bool, error) {
		docs = append(docs, store.Document{Kind: kind, ID: s.text(0), Data: s.blob(1)})
		return true, nil
	}, args...)
	return docs, err
}

// LoadDocuments is [store.Documents.LoadDocuments].
func (s *Store) LoadDocuments(ctx context.Context, kind string, ids []string) (docs []store.Document, err error) {
	if err := store.ValidateLoad(kind, ids); err != nil {
		return nil, err
	}
	err = s.backend.soon(ctx, func(r *reader, most uint64) (err error) {
		if uint64(len(ids)) > most {
			return errLong
		}
		docs, err = loadAll(r.conn, s.tenant, kind, ids)
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
	err = s.backend.reading(ctx, func(r *reader) (err error) {
		docs, err = scan(r.conn, s.tenant, kind, from, to, limit)
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
		docs, err = loadAll(w.conn, t.store.tenant, kind, ids)
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
		docs, err = scan(w.conn, t.store.tenant, kind, from, to, limit)
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
				err = w.exec(dropDocument, number(tenant.id), text(d.Kind), text(d.ID))
			} else {
				err = w.exec(saveDocument, number(tenant.id), text(d.Kind), text(d.ID), blob(d.Data))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
