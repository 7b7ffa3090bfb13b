package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// documentIDs returns ids that a careless comparison mistakes for others, or sorts
// wrongly.
func documentIDs() []string {
	return []string{"0", "00", "1", "10", "9", "a", "A", "aa", "ab", "b", "é", "e\u0301", "z", "\U0001F600", "\uffff", " a", "a "}
}

// TestDocuments compares documents with a map, in transactions and after them.
func TestDocuments(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	file := open(t, filepath.Join(t.TempDir(), "events.db"))
	ids := rapid.SampledFrom(documentIDs())
	bounds := rapid.SampledFrom(append(documentIDs(), ""))
	rapid.Check(t, func(rt *rapid.T) {
		tenant, err := file.Tenant(store.NewID())
		st, ok := tenant.(*sqlite.Store)
		if !ok {
			rt.Fatalf("Tenant = %T, %v", tenant, err)
		}
		model := make(map[string]string)
		for range rapid.IntRange(1, 4).Draw(rt, "updates") {
			next, keep := maps.Clone(model), rapid.Bool().Draw(rt, "commits")
			docs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) store.Document {
				d := store.Document{Kind: "k", ID: ids.Draw(t, "id")}
				if rapid.Bool().Draw(t, "saves") {
					d.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "data")
				}
				return d
			})).Draw(rt, "documents")
			for _, d := range docs {
				delete(next, d.ID)
				if d.Data != nil {
					next[d.ID] = string(d.Data)
				}
			}
			err := st.Update(ctx, func(tx *sqlite.Tx) error {
				if err := tx.SaveDocuments(docs); err != nil {
					return err
				}
				wantDocuments(rt, next, bounds,
					func(ids []string) ([]store.Document, error) { return tx.LoadDocuments("k", ids) },
					func(from, to string, limit int) ([]store.Document, error) {
						return tx.ScanDocuments("k", from, to, limit)
					})
				if !keep {
					return errNo
				}
				return nil
			})
			if keep != (err == nil) || err != nil && !errors.Is(err, errNo) {
				rt.Fatalf("Update = %v", err)
			}
			if keep {
				model = next
			}
			wantDocuments(rt, model, bounds,
				func(ids []string) ([]store.Document, error) { return st.LoadDocuments(ctx, "k", ids) },
				func(from, to string, limit int) ([]store.Document, error) {
					return st.ScanDocuments(ctx, "k", from, to, limit)
				})
			if docs, err := st.ScanDocuments(ctx, "K", "", "", 0); len(docs) > 0 || err != nil {
				rt.Fatalf("another kind has %v, %v", docs, err)
			}
		}
	})
}

// wantDocuments fails unless load and scan return the same as model.
func wantDocuments(t *rapid.T, model map[string]string, bounds *rapid.Generator[string],
	load func([]string) ([]store.Document, error), scan func(from, to string, limit int) ([]store.Document, error),
) {
	ids := documentIDs()
	docs, err := load(ids)
	if err != nil || len(docs) != len(ids) {
		t.Fatalf("LoadDocuments = %d documents, %v", len(docs), err)
	}
	for i, d := range docs {
		if want, ok := model[ids[i]]; d.ID != ids[i] || d.Kind != "k" || string(d.Data) != want || ok != (d.Data != nil) {
			t.Fatalf("LoadDocuments has %+v, want %q: %t", d, want, ok)
		}
	}
	from, to, limit := bounds.Draw(t, "from"), bounds.Draw(t, "to"), rapid.IntRange(0, 20).Draw(t, "limit")
	var want []string
	for _, id := range slices.Sorted(maps.Keys(model)) {
		if id >= from && (to == "" || id < to) && (limit == 0 || len(want) < limit) {
			want = append(want, fmt.Sprintf("%q %q", id, model[id]))
		}
	}
	docs, err = scan(from, to, limit)
	var got []string
	for _, d := range docs {
		got = append(got, fmt.Sprintf("%q %q", d.ID, d.Data))
		if d.Data == nil {
			t.Fatalf("ScanDocuments has %q without data", d.ID)
		}
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("ScanDocuments(%q, %q, %d) = %q, %v; want %q", from, to, limit, got, err, want)
	}
}

// TestUpdateStatements checks that the statements of a caller are prepared once,
// whatever happens between their executions.
func TestUpdateStatements(t *testing.T) {
	t.Parallel()
	ctx, st := context.Background(), counting(t)
	err := st.Update(ctx, func(tx *sqlite.Tx) error {
		for i := range 1000 { // more statements than are kept
			if _, err := tx.Exec(fmt.Sprintf("INSERT INTO bank_number VALUES (?, %d)", i), "a"); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO bank_number VALUES (?, ?)", "b", i); err != nil {
				return err
			}
		}
		for _, stream := range []string{"a", "b"} {
			if n, err := number(tx, "SELECT count(*) FROM bank_number WHERE stream = ?", stream); n != 1000 || err != nil {
				t.Errorf("there are %d rows of %s, %v, want 1000", n, stream, err)
			}
		}
		if _, err := tx.Exec("ALTER TABLE bank_number ADD COLUMN more TEXT"); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO bank_number (stream, n) VALUES (?, ?)", "c", 1); err != nil {
			return err
		}
		n, err := number(tx, "SELECT count(*) FROM bank_number WHERE stream = ?", "c")
		if n != 1 || err != nil {
			t.Errorf("after a change of the table there are %d rows, %v, want 1", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
