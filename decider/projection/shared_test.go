package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// counted counts the reads of a log.
type counted struct {
	store.Log
	reads, pages atomic.Int64
	fail         atomic.Pointer[error]
}

func (c *counted) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	c.reads.Add(1)
	return c.Log.ReadAll(ctx, o)
}

func (c *counted) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		for page, err := range c.Log.Subscribe(ctx, o) {
			c.pages.Add(1)
			if failed := c.fail.Swap(nil); failed != nil {
				yield(store.Page{}, *failed)
				return
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// TestShared runs ten projections on a shared log, some of them slow, and counts the
// reads once they are live.
func TestShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		st := memory.New()
		log := &counted{Log: st}
		shared := projection.Shared(log)
		for i := range 300 {
			deposit(t, st, fmt.Sprint("a", i%3), 1)
		}
		var all []*projection.Projection[*memory.Tx, move]
		for i := range n {
			name := fmt.Sprint("p", i)
			p := projection.New(shared, st, name, moves(), func(_ context.Context, tx *memory.Tx, e projection.Event[move]) error {
				if i == n-1 && e.Live {
					time.Sleep(time.Millisecond) // it falls behind
				}
				docs, err := tx.LoadDocuments(name, []string{e.Event.Account})
				if err != nil {
					return err
				}
				docs[0].Data = fmt.Appendf(docs[0].Data, "%d ", e.Recorded.Position)
				return tx.SaveDocuments(docs)
			})
			all = append(all, p)
			defer func(stop func() error) { _ = stop() }(start(t, p))
		}
		for _, p := range all {
			if err := p.WaitFor(t.Context(), 300); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		reads, pages := log.reads.Load(), log.pages.Load()
		last := deposit(t, st, "a0", 1)
		for _, p := range all {
			if err := p.WaitFor(t.Context(), last.Position); err != nil {
				t.Fatal(err)
			}
		}
		if r, pg := log.reads.Load()-reads, log.pages.Load()-pages; r != 0 || pg != 1 {
			t.Errorf("one append costs %d reads and %d pages for %d projections, want 0 and 1", r, pg, n)
		}
		failed := errors.New("the log is down")
		for i := range 4000 {
			if i == 2000 {
				log.fail.Store(&failed)
			}
			last = deposit(t, st, fmt.Sprint("a", i%3), 1)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		want := map[string]string{}
		page, err := st.ReadAll(t.Context(), store.LogOptions{})
		for ; err == nil; page, err = st.ReadAll(t.Context(), store.LogOptions{From: page.Next}) {
			for _, e := range page.Events {
				want[e.Stream.ID] += fmt.Sprintf("%d ", e.Position)
			}
			if page.End {
				break
			}
		}
		for i, p := range all {
			if err := p.WaitFor(t.Context(), last.Position); err != nil {
				t.Fatal(err)
			}
			docs, err := st.ScanDocuments(t.Context(), fmt.Sprint("p", i), "", "", 0)
			if err != nil || len(docs) != len(want) {
				t.Fatalf("%d lists, %v", len(docs), err)
			}
			for _, d := range docs {
				if string(d.Data) != want[d.ID] {
					t.Errorf("%s: the events of %s differ from the log", p, d.ID)
				}
			}
		}
	})
}

func ExampleShared() {
	st := memory.New()
	log := projection.Shared(st) // pass it to all projections of the process
	one, two := projection.NewImage(log, payments(), total), projection.NewImage(log, payments(), total)
	defer running(one)()
	defer running(two)()
	at := pay(st, "ann", 500)
	fmt.Println(one.WaitFor(context.Background(), at), two.WaitFor(context.Background(), at))
	// Output: <nil> <nil>
}

func ExampleSharedLog() {
	head, err := projection.Shared(memory.New()).Head(context.Background())
	fmt.Println(head, err)
	// Output: 0 <nil>
}
