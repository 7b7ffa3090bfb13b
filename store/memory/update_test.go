package memory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

var errNo = errors.New("no")

// writeAll writes one thing of every kind in tx.
func writeAll(tx *memory.Tx) error {
	_, err := tx.AppendClaiming(account("a"), store.NoStream, some("a", 2), []store.Claim{{Key: "k"}})
	if err != nil {
		return err
	}
	if _, err := tx.Append(account("b"), store.NoStream, some("b", 1)); err != nil {
		return err
	}
	return errors.Join(
		tx.SaveCheckpoint("c", store.Checkpoint{}, store.Checkpoint{Position: 1, EventID: "e"}),
		tx.SaveDocuments([]store.Document{{Kind: "d", ID: "1", Data: []byte("one")}}),
		tx.SaveSnapshot(store.Snapshot{Stream: account("a"), Schema: "s", Version: 1}),
	)
}

// traces returns everything that writeAll wrote and that is visible now.
func traces(t *testing.T, m *memory.Store) []string {
	t.Helper()
	ctx := t.Context()
	var seen []string
	for i, e := range mustReadAll(t, m, store.LogOptions{}).Events {
		if e.Position != uint64(i+1) {
			t.Errorf("event %d of the log is at position %d", i+1, e.Position)
		}
		seen = append(seen, fmt.Sprintf("%s %d", e.Stream, e.Version))
	}
	if holder, ok, err := m.Holder(ctx, "k"); err != nil || ok {
		seen = append(seen, fmt.Sprintf("k of %s", holder))
	}
	if c, err := m.LoadCheckpoint(ctx, "c"); err != nil || c.Position > 0 {
		seen = append(seen, fmt.Sprintf("checkpoint %d", c.Position))
	}
	docs, err := m.ScanDocuments(ctx, "d", "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		seen = append(seen, fmt.Sprintf("document %s", d.Data))
	}
	if _, ok, err := m.LoadSnapshot(ctx, account("a"), "s"); err != nil || ok {
		seen = append(seen, "snapshot")
	}
	return seen
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	all := []string{
		"Account/a 1", "Account/a 2", "Account/b 1", "k of Account/a", "checkpoint 1", "document one", "snapshot",
	}
	t.Run("writes are visible when Update returns, not before", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		err := m.Update(t.Context(), func(tx *memory.Tx) error {
			err := writeAll(tx)
			if seen := traces(t, m); len(seen) > 0 {
				t.Errorf("visible before the commit: %v", seen)
			}
			return err
		})
		if seen := traces(t, m); err != nil || !slices.Equal(seen, all) {
			t.Errorf("Update = %v, visible: %v, want %v", err, seen, all)
		}
	})
	t.Run("an error rolls back", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		err := m.Update(t.Context(), func(tx *memory.Tx) error { return errors.Join(writeAll(tx), errNo) })
		if seen := traces(t, m); !errors.Is(err, errNo) || len(seen) > 0 {
			t.Errorf("Update = %v, visible: %v", err, seen)
		}
	})
	t.Run("a panic rolls back and reaches the caller", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		func() {
			defer func() {
				if got := recover(); got != errNo { //nolint:errorlint // the value itself
					t.Errorf("recovered %v", got)
				}
			}()
			_ = m.Update(t.Context(), func(tx *memory.Tx) error {
				_ = writeAll(tx)
				panic(errNo)
			})
		}()
		if seen := traces(t, m); len(seen) > 0 {
			t.Errorf("visible: %v", seen)
		}
		if err := m.Update(t.Context(), writeAll); err != nil {
			t.Errorf("the next Update = %v", err)
		}
	})
	t.Run("it sees its own writes, and repeated appends are replayed", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		mustAppend(t, m, account("z"), some("z", 2)...)
		err := m.Update(t.Context(), func(tx *memory.Tx) error {
			if err := writeAll(tx); err != nil {
				return err
			}
			again, err := tx.Append(account("a"), store.NoStream, some("a", 2))
			if want := (store.Appended{Version: 2, Position: 4, Replayed: true}); err != nil || again != want {
				t.Errorf("the same append again = %+v, %v; want %+v", again, err, want)
			}
			for _, o := range []store.ReadOptions{{}, {From: 2}, {Limit: 1}, {Backward: true}, {From: 9}} {
				got, err := tx.Read(account("a"), o)
				want := two(t).read(t, o)
				if err != nil || fmt.Sprint(ids(got)) != fmt.Sprint(ids(want)) || got.Head != want.Head || got.End != want.End || got.Next != want.Next {
					t.Errorf("Read(%+v) = %v, %v; a store with the same events returns %v", o, got, err, want)
				}
			}
			old, err := tx.Append(account("z"), store.NoStream, some("z", 2))
			if want := (store.Appended{Version: 2, Position: 2, Replayed: true}); err != nil || old != want {
				t.Errorf("an older append again = %+v, %v; want %+v", old, err, want)
			}
			if _, err = tx.Append(account("b"), store.Any, some("a", 1)); !errors.Is(err, store.ErrDuplicate) {
				t.Errorf("an id of this transaction in another stream = %v", err)
			}
			if _, err = tx.Append(account("a"), store.NoStream, some("x", 1)); !errors.Is(err, store.ErrConflict) {
				t.Errorf("NoStream after an append = %v", err)
			}
			_, err = tx.AppendClaiming(account("b"), store.Any, some("y", 1), []store.Claim{{Key: "k"}})
			if !errors.Is(err, store.ErrClaimed) {
				t.Errorf("a key of this transaction = %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("its Tx is unusable afterwards", func(t *testing.T) {
		t.Parallel()
		m := memory.New()
		var kept *memory.Tx
		if err := m.Update(t.Context(), func(tx *memory.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		_, appending := kept.Append(account("a"), store.Any, some("a", 1))
		_, loading := kept.LoadDocuments("d", []string{"1"})
		_, scanning := kept.ScanDocuments("d", "", "", 0)
		_, checking := kept.LoadCheckpoint("c")
		for name, err := range map[string]error{
			"Append": appending, "LoadDocuments": loading, "ScanDocuments": scanning, "LoadCheckpoint": checking,
			"SaveCheckpoint": kept.SaveCheckpoint("c", store.Checkpoint{}, store.Checkpoint{Position: 1}),
			"SaveDocuments":  kept.SaveDocuments([]store.Document{{Kind: "d", ID: "1"}}),
			"SaveSnapshot":   kept.SaveSnapshot(store.Snapshot{Stream: account("a"), Schema: "s", Version: 1}),
		} {
			if !errors.Is(err, store.ErrTxDone) {
				t.Errorf("%s after the Update: %v, want ErrTxDone", name, err)
			}
		}
	})
}

// TestInUpdate checks that a write from within an Update fails if it would wait for
// itself.
func TestInUpdate(t *testing.T) {
	t.Parallel()
	m := memory.New()
	ctx := t.Context()
	err := m.Update(ctx, func(tx *memory.Tx) error {
		mustAppend(t, m, account("outside"), some("outside", 1)...) // the transaction has not appended yet
		if err := writeAll(tx); err != nil {
			return err
		}
		_, appending := m.Append(ctx, account("x"), store.Any, some("x", 1))
		for name, err := range map[string]error{
			"Append":         appending,
			"Update":         m.Update(ctx, func(*memory.Tx) error { return nil }),
			"SaveCheckpoint": m.SaveCheckpoint(ctx, "x", store.Checkpoint{}, store.Checkpoint{Position: 1}),
		} {
			if !errors.Is(err, memory.ErrInUpdate) || !store.Definite(err) {
				t.Errorf("%s within an Update = %v, want ErrInUpdate", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	mustAppend(t, m, account("x"), some("x", 1)...)
}

// reference is a store that has the same two events as writeAll.
type reference struct{ *memory.Store }

func two(t *testing.T) reference {
	t.Helper()
	m := memory.New()
	mustAppend(t, m, account("a"), some("a", 2)...)
	return reference{m}
}

func (r reference) read(t *testing.T, o store.ReadOptions) store.Page {
	t.Helper()
	return mustRead(t, r, account("a"), o)
}

func ids(p store.Page) (ids []string) {
	for _, e := range p.Events {
		ids = append(ids, e.ID)
	}
	return ids
}

// TestUpdateTurns checks that transactions take turns, that appends outside wait only
// from the first append inside on, and that readers do not wait.
func TestUpdateTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memory.New()
		var order []string
		appended, leave := make(chan struct{}), make(chan struct{})
		done := make(chan struct{}, 3)
		go func() {
			_ = m.Update(t.Context(), func(tx *memory.Tx) error {
				mustAppend(t, m, account("before"), some("before", 1)...)
				err := writeAll(tx)
				close(appended)
				<-leave
				order = append(order, "first")
				return err
			})
			done <- struct{}{}
		}()
		<-appended
		go func() {
			mustAppend(t, m, account("c"), some("c", 1)...)
			done <- struct{}{}
		}()
		go func() {
			err := m.SaveCheckpoint(t.Context(), "c", store.Checkpoint{}, store.Checkpoint{Position: 9})
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("a save that had to wait: %v, want a conflict", err)
			}
			done <- struct{}{}
		}()
		synctest.Wait()
		if head, _ := m.Head(t.Context()); head != 1 {
			t.Errorf("the head is %d while the transaction runs, want 1", head)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Append(ended, account("d"), store.Any, some("d", 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("Append with an ended context = %v", err)
		}
		close(leave)
		for range 3 {
			<-done
		}
		if head, _ := m.Head(t.Context()); head != 5 || len(order) != 1 {
			t.Errorf("the head is %d in the end, want 5", head)
		}
	})
}

// TestDocuments compares documents with a map, within transactions and after them.
func TestDocuments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := memory.New()
		ctx := context.Background()
		id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("%03d", rapid.IntRange(0, 999).Draw(t, "id")) })
		model := map[string]string{}
		for i := range rapid.IntRange(1, 5).Draw(t, "updates") {
			next := maps.Clone(model)
			keep := rapid.Bool().Draw(t, "commits")
			err := m.Update(ctx, func(tx *memory.Tx) error {
				for j := range rapid.IntRange(0, 400).Draw(t, "writes") {
					d := store.Document{Kind: "k", ID: id.Draw(t, "id")}
					delete(next, d.ID)
					if rapid.IntRange(0, 3).Draw(t, "removes") > 0 {
						d.Data = fmt.Appendf(nil, "%d/%d", i, j)
						next[d.ID] = string(d.Data)
					}
					if err := tx.SaveDocuments([]store.Document{d}); err != nil {
						return err
					}
				}
				from, to := id.Draw(t, "from"), id.Draw(t, "to")
				limit := rapid.IntRange(1, 50).Draw(t, "limit")
				docs, err := tx.ScanDocuments("k", from, to, limit)
				if got, want := listed(docs), scanned(next, from, to, limit); err != nil || got != want {
					t.Fatalf("in the transaction, ScanDocuments(%s, %s, %d) = %s, %v; want %s", from, to, limit, got, err, want)
				}
				if !keep {
					return errNo
				}
				return nil
			})
			if keep != (err == nil) {
				t.Fatal(err)
			}
			if keep {
				model = next
			}
			docs, err := m.ScanDocuments(ctx, "k", "", "", len(model)+1)
			if got, want := listed(docs), scanned(model, "", "", len(model)); err != nil || got != want {
				t.Fatalf("ScanDocuments = %s, %v; want %s", got, err, want)
			}
			some := id.Draw(t, "some")
			docs, err = m.LoadDocuments(ctx, "k", []string{some})
			if want, ok := model[some]; err != nil || ok != (docs[0].Data != nil) || string(docs[0].Data) != want {
				t.Fatalf("LoadDocuments(%s) = %q, %v; want %q", some, docs[0].Data, err, want)
			}
		}
	})
}

func listed(docs []store.Document) string {
	var b bytes.Buffer
	for _, d := range docs {
		fmt.Fprintf(&b, "%s=%s ", d.ID, d.Data)
	}
	return b.String()
}

func scanned(model map[string]string, from, to string, limit int) string {
	var docs []store.Document
	for _, id := range slices.Sorted(maps.Keys(model)) {
		if id >= from && (to == "" || id < to) && len(docs) < limit {
			docs = append(docs, store.Document{ID: id, Data: []byte(model[id])})
		}
	}
	return listed(docs)
}
