// Package calls makes every call that a store offers, for tests in which parts of the
// store fail.
package calls

import (
	"context"
	"errors"
	"reflect"

	"github.com/evolvego/evolve/store"
)

// Store is a store with all capabilities, whose transactions are a T.
type Store[T Tx] interface {
	store.Store
	store.Log
	store.Tenants
	store.Finder
	store.Claims
	store.Snapshots
	store.Checkpoints
	store.Leases
	store.Documents
	Update(ctx context.Context, do func(tx T) error) error
}

// Tx is a transaction of a [Store].
type Tx interface {
	store.Tx
	store.ReadTx
}

// errNo is an error of a caller.
var errNo = errors.New("no")

// Test is the part of a *testing.T that is needed. This package is no test, and must not
// import testing.
type Test interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// Calls makes the calls of a store.
type Calls[T Tx] struct {
	st      Store[T]
	changes map[string]change[T]
	reads   map[string]func(ctx context.Context, st Store[T]) (any, error)
	want    map[string]any // the answers of reads
}

// New returns the calls of st, which must be empty. It writes something for each of them to
// find.
func New[T Tx](t Test, st Store[T]) *Calls[T] {
	t.Helper()
	ctx, c := t.Context(), &Calls[T]{st: st, changes: changes[T](), reads: reads[T](), want: map[string]any{}}
	for name, change := range c.changes {
		key := name
		switch name {
		case "Append", "SaveSnapshot", "SaveCheckpoint":
			key = "1" // which reads asks for
		}
		if err := change.do(ctx, st, key); err != nil {
			t.Fatal(name, err)
		}
	}
	_, err := st.AppendClaiming(ctx, store.Stream{Type: "Card", ID: "1"}, store.NoStream, []store.Event{{ID: "c", Type: "Opened"}}, []store.Claim{{Key: "key"}})
	err = errors.Join(err, st.Update(ctx, func(tx T) error {
		return tx.SaveDocuments([]store.Document{{Kind: "name", ID: "1", Data: []byte("a")}, {Kind: "name", ID: "2", Data: []byte("b")}})
	}))
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range c.reads {
		if c.want[name], err = read(ctx, st); err != nil {
			t.Fatal(name, err)
		}
	}
	return c
}

// During makes every call while something fails: fail makes it fail, and the function that
// it returns ends that. A call must then fail, or answer as ever. What a call says about
// its writing must be true, and it must succeed afterwards. During returns how many calls
// failed.
func (c *Calls[T]) During(t Test, what string, fail func() (mend func())) (failed int) {
	t.Helper()
	for name, read := range c.reads {
		mend := fail()
		got, err := read(t.Context(), c.st)
		mend()
		switch {
		case err != nil:
			failed++
		case !sameAnswer(got, c.want[name]):
			t.Errorf("%s fails, but %s answers %v, want an error or %v", what, name, got, c.want[name])
		}
	}
	for name, change := range c.changes {
		key := "z" + store.NewID() // behind everything that reads finds
		mend := fail()
		err := change.do(t.Context(), c.st, key)
		mend()
		if err != nil {
			failed++
		}
		change.check(t, c.st, key, what+" fails, "+name, err)
	}
	return failed
}

// check checks that the change is there if err is nil, and not if err says so, and that it
// can still be made.
func (c change[T]) check(t Test, st Store[T], key, what string, err error) {
	t.Helper()
	done, lost := c.done(t.Context(), st, key)
	switch {
	case lost != nil:
		t.Errorf("%s = %v, and then: %v", what, err, lost)
	case err == nil && !done:
		t.Errorf("%s = nil, but nothing was written", what)
	case err != nil && store.Definite(err) && done:
		t.Errorf("%s = %v, but it was written", what, err)
	case err == nil || done:
		return
	}
	if again := c.do(t.Context(), st, key); again != nil {
		t.Errorf("%s = %v, and the next time: %v", what, err, again)
	}
	if done, lost := c.done(t.Context(), st, key); !done || lost != nil {
		t.Errorf("%s = %v, and the next time nothing was written: %v", what, err, lost)
	}
}

// sameAnswer reports whether two answers are equal, except for the head of the log.
func sameAnswer(a, b any) bool {
	headless := func(answer any) any {
		if page, ok := answer.(store.Page); ok {
			page.Head = 0
			return page
		}
		return answer
	}
	return reflect.DeepEqual(headless(a), headless(b))
}
