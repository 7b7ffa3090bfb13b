package sqlite

import (
	"context"
	"runtime"
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
