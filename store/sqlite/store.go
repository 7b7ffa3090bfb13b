package sqlite

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

var (
	_ store.Store       = (*Store)(nil)
	_ store.Log         = (*Store)(nil)
	_ store.Tenants     = (*Store)(nil)
	_ store.Snapshots   = (*Store)(nil)
	_ store.Checkpoints = (*Store)(nil)
	_ store.Documents   = (*Store)(nil)
	_ store.Claims      = (*Store)(nil)
	_ store.Leases      = (*Store)(nil)
	_ store.Finder      = (*Store)(nil)
	_ io.Closer         = (*Store)(nil)
	_ store.Tx          = (*Tx)(nil)
)

// Store is the store of one tenant. [Open] returns the store of [store.DefaultTenant],
// and [Store.Tenant] the stores of other tenants in the same file. It is safe for
// concurrent use. The zero Store is not usable.
type Store struct {
	backend *backend
	tenant  string
}

// backend holds what the stores of all tenants in a file share.
type backend struct {
	place    *place
	path     string // of the file, for messages
	config   config
	readers  readers
	writer   *writer       // nil if the store is read-only
	updating atomic.Uint64 // the goroutine that runs an Update; 0 if there is none
	news     news
	moved    atomic.Pointer[error] // the error that the poll has found with the place; nil if there is none
	done     chan struct{}         // closed by Close
	close    func() error          // the rest of Close, called once
}

// newBackend opens the connections to a file that prepareFile or inspectFile has
// checked.
func newBackend(p *place, c *config) (*Store, error) {
	b := &backend{
		place: p, path: p.path, config: *c,
		readers: readers{busy: make(chan struct{}, maxReaders)}, done: make(chan struct{}),
	}
	b.close = sync.OnceValue(b.shut)
	err := b.openReads()
	if err == nil && !c.readOnly {
		b.writer, err = newWriter(b, c)
	}
	if err != nil {
		return nil, fileError(b.path, errors.Join(err, b.readers.close()))
	}
	if b.writer != nil {
		go b.writer.run() // shut waits for it
	}
	return &Store{backend: b, tenant: store.DefaultTenant}, nil
}

// openReads opens the first connection that reads, and remembers which files are open.
func (b *backend) openReads() error {
	return b.reading(context.Background(), func(r *reader) error {
		if _, err := r.number("SELECT count(*) FROM tenant"); err != nil { // this opens all files
			return err
		}
		return b.place.note()
	})
}

// Tenant returns the store of tenant id. It returns an *[store.InvalidError] if no tenant
// can have this id, and [store.ErrClosed] after Close.
func (s *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if s.backend.closed() {
		return nil, store.ErrClosed
	}
	return &Store{backend: s.backend, tenant: id}, nil
}

// Close closes the stores of all tenants in the file. It waits for appends and reads in
// progress. Subscriptions yield [store.ErrClosed] and end, and every later call returns
// it. Close does not wait for loops over subscriptions to end. You can call it again,
// with the same result. Inside an [Store.Update] it closes nothing and returns
// [ErrInUpdate].
func (s *Store) Close() error {
	if s.backend.inUpdate() {
		return ErrInUpdate
	}
	return s.backend.close()
}

func (b *backend) shut() error {
	close(b.done)
	if b.writer != nil {
		<-b.writer.stopped
	}
	b.news.watchers.Wait()
	for range maxReaders {
		b.readers.busy <- struct{}{}
	}
	err := b.readers.close()
	if b.writer != nil {
		b.writer.turn.Lock() // waits for a caller that writes alone
		defer b.writer.turn.Unlock()
		b.writer.theirs.close()
		err = errors.Join(err, b.writer.close())
	}
	if err != nil {
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

// ready returns an error if nothing can be done, because ctx has ended or the store is
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
