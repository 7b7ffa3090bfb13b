package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

var (
	_ store.Store       = (*Store)(nil)
	_ store.Log         = (*Store)(nil)
	_ store.Tenants     = (*Store)(nil)
	_ store.Snapshots   = (*Store)(nil)
	_ store.Checkpoints = (*Store)(nil)
	_ store.Claims      = (*Store)(nil)
	_ store.Leases      = (*Store)(nil)
	_ io.Closer         = (*Store)(nil)
)

// Store is the store of one tenant; [Open] returns that of
// [store.DefaultTenant], and [Store.Tenant] those of the others in the same
// file. It is safe for concurrent use. The zero Store is not usable.
type Store struct {
	backend *backend
	tenant  string
}

// backend is what the stores of all tenants share.
type backend struct {
	path    string // as given, for messages
	now     func() time.Time
	writes  *sql.DB
	reads   *sql.DB
	readers readers
	writer  *writer
	news    news
	done    chan struct{} // closed by Close
	close   func() error  // the rest of Close, once
}

// newBackend opens the connections to a file that is prepared.
func newBackend(path, full string, c *config) (*Store, error) {
	writes, err := openDB(full, "synchronous("+c.synchronous+")", "journal_size_limit(67108864)")
	if err != nil {
		return nil, fileError(path, err)
	}
	reads, err := openDB(full, "query_only(1)")
	if err != nil {
		return nil, fileError(path, errors.Join(err, writes.Close()))
	}
	b := &backend{
		path: path, now: c.now, writes: writes, reads: reads,
		readers: readers{busy: make(chan struct{}, maxReaders)}, done: make(chan struct{}),
	}
	b.close = sync.OnceValue(b.shut)
	if b.writer, err = newWriter(b); err != nil {
		return nil, fileError(path, errors.Join(err, writes.Close(), reads.Close()))
	}
	go b.writer.run() // shut waits for it
	return &Store{backend: b, tenant: store.DefaultTenant}, nil
}

// Tenant returns the store of tenant id. It is an *[store.InvalidError] if id
// cannot be a tenant's, and [store.ErrClosed] after Close.
func (s *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if s.backend.closed() {
		return nil, store.ErrClosed
	}
	return &Store{backend: s.backend, tenant: id}, nil
}

// Close ends the stores of all tenants in the file: it waits for the appends and
// reads that are under way, the subscriptions yield [store.ErrClosed] last, and
// so ends every later call. It does not wait for the loops over subscriptions.
// It can be called again, and returns the same.
func (s *Store) Close() error { return s.backend.close() }

func (b *backend) shut() error {
	close(b.done)
	<-b.writer.stopped
	b.news.watchers.Wait()
	var errs []error
	for range maxReaders {
		b.readers.busy <- struct{}{}
	}
	for _, r := range b.readers.idle {
		errs = append(errs, r.close())
	}
	for _, stmt := range b.writer.stmts {
		errs = append(errs, stmt.Close())
	}
	errs = append(errs, b.writer.conn.Close(), b.reads.Close(), b.writes.Close())
	if err := errors.Join(errs...); err != nil {
		return fileError(b.path, err)
	}
	return nil
}

func (b *backend) closed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// ready returns why nothing can be done: what ctx ended with, or the store is
// closed.
func (b *backend) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.closed() {
		return store.ErrClosed
	}
	return nil
}
