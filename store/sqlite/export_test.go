package sqlite

import (
	"context"
	"runtime"
	"sync"
)

// script is SQL as a write, for tests.
type script string

func (script) count() int { return 1 }

func (s script) do(w *writer) error { return w.queryRow(string(s)).Scan(new(int)) }

// Write runs a pragma that answers with a number on the connection of the writer.
func Write(st *Store, pragma string) {
	if err := st.backend.submit(context.Background(), script(pragma)); err != nil {
		panic(err)
	}
}

// Ask returns the answer to a pragma by the connection that writes, and by those that
// read, of which there are then n.
func Ask(st *Store, pragma string, n int) (writer int, readers []int) {
	b := st.backend
	if err := b.submit(context.Background(), ask{pragma, &writer}); err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	together := make(chan struct{})
	for range n {
		all.Go(func() {
			err := b.reading(context.Background(), func(ctx context.Context, r *reader) error {
				var answer int
				_, err := r.one(ctx, pragma, nil, []any{&answer})
				mu.Lock()
				readers = append(readers, answer)
				if len(readers) == n {
					close(together)
				}
				mu.Unlock()
				<-together // so that each has its own
				return err
			})
			if err != nil {
				panic(err)
			}
		})
	}
	all.Wait()
	return writer, readers
}

// ask is a query of a number as a write.
type ask struct {
	query string
	to    *int
}

func (ask) count() int { return 1 }

func (a ask) do(w *writer) error { return w.queryRow(a.query).Scan(a.to) }

// hold is a write that keeps the writer busy until it is closed.
type hold chan struct{}

func (hold) count() int { return 1 }

func (h hold) do(*writer) error {
	h <- struct{}{}
	<-h
	return nil
}

// Hold keeps the writer busy until the function that it returns is called, which
// waits for the write.
func Hold(st *Store) (release func()) {
	h, done := make(hold), make(chan struct{})
	go func() {
		defer close(done)
		_ = st.backend.submit(context.Background(), h)
	}()
	<-h
	return func() { close(h); <-done }
}

// WaitQueued waits until n writes are in the queue.
func WaitQueued(st *Store, n int) {
	for len(st.backend.writer.queue) < n {
		runtime.Gosched()
	}
}

// ByReader runs SQL on a connection that reads.
func ByReader(st *Store, query string) error {
	return st.backend.reading(context.Background(), func(ctx context.Context, r *reader) error {
		_, err := r.one(ctx, query, nil, nil)
		return err
	})
}
