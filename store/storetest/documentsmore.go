package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/evolvego/evolve/store"
)

// cloneDocuments returns documents that share no memory with docs.
func cloneDocuments(docs []store.Document) []store.Document {
	clones := make([]store.Document, len(docs))
	for i, d := range docs {
		clones[i] = d
		clones[i].Data = bytes.Clone(d.Data)
	}
	return clones
}

// spoilDocuments changes everything that docs point to.
func spoilDocuments(docs []store.Document) {
	for i := range docs {
		for j := range docs[i].Data {
			docs[i].Data[j] = 0xee
		}
		docs[i].ID = "spoilt"
	}
}

func documentAliases(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	for _, n := range []int{1, 3} {
		var want []store.Document
		ids := []string{"a", "b", "c"}[:n]
		for _, id := range ids {
			want = append(want, store.Document{Kind: kind, ID: id, Data: fmt.Append(nil, "data of ", id)})
		}
		var inside error
		t.update(t.store, func(tx store.Tx) error {
			saved := cloneDocuments(want)
			if err := tx.SaveDocuments(saved); err != nil {
				return err
			}
			spoilDocuments(saved)
			inTx := readDocuments{tx.LoadDocuments, tx.ScanDocuments}
			for range 2 {
				inside = errors.Join(inside, inTx.wantsLoad(kind, want), inTx.wantsScan(kind, "", "", n, want))
				loaded, loading := tx.LoadDocuments(kind, ids)
				spoilDocuments(loaded)
				scanned, scanning := tx.ScanDocuments(kind, "", "", n)
				spoilDocuments(scanned)
				inside = errors.Join(inside, loading, scanning)
			}
			return nil
		})
		if inside != nil {
			t.Fatalf("in a transaction, after changing saved and loaded documents: %v", inside)
		}
		for range 2 {
			if err := errors.Join(st.wantsLoad(kind, want), st.wantsScan(kind, "", "", n, want)); err != nil {
				t.Fatalf("after changing saved and loaded documents: %v", err)
			}
			loaded, loading := st.load(kind, ids)
			spoilDocuments(loaded)
			scanned, scanning := st.scan(kind, "", "", n)
			spoilDocuments(scanned)
			t.must(errors.Join(loading, scanning))
		}
	}
}

func documentRefuses(t *check) {
	st, kind := t.documents(), newKind()
	good := store.Document{Kind: kind, ID: "good", Data: []byte("good")}
	bad := func(change func(d *store.Document)) []store.Document {
		d := good
		change(&d)
		return []store.Document{good, d}
	}
	type refused struct {
		field string
		docs  []store.Document
	}
	all := []refused{
		{"documents[1].data", bad(func(d *store.Document) { d.Data = make([]byte, store.MaxDocument+1) })},
		{"documents[1].id", bad(func(d *store.Document) { d.ID = strings.Repeat("i", store.MaxDocumentID+1) })},
		{"documents[1].id", bad(func(d *store.Document) { d.ID = "" })},
		{"documents", make([]store.Document, store.MaxDocuments+1)},
	}
	for _, text := range badTexts() {
		all = append(all, refused{"documents[1].id", bad(func(d *store.Document) { d.ID = text.text })})
	}
	for _, name := range badNames() {
		all = append(all, refused{"documents[1].kind", bad(func(d *store.Document) { d.Kind = name.text })})
	}
	errs := make([]error, len(all))
	t.update(t.store, func(tx store.Tx) error {
		for i := range all {
			errs[i] = tx.SaveDocuments(all[i].docs)
		}
		return nil
	})
	for i := range all {
		t.wantInvalid(fmt.Sprintf("SaveDocuments of %d documents", len(all[i].docs)), errs[i], all[i].field)
	}
	t.must(t.committed(st).wantsLoad(kind, []store.Document{{Kind: kind, ID: "good"}}))
	for _, r := range t.bothWays(st) {
		_, err := r.load("", []string{"a"})
		t.wantInvalid("LoadDocuments with an empty kind", err, "kind")
		_, err = r.load(kind, []string{"a", ""})
		t.wantInvalid("LoadDocuments with an empty id", err, "ids[1]")
		_, err = r.load(kind, make([]string, store.MaxDocuments+1))
		t.wantInvalid("LoadDocuments with too many ids", err, "ids")
		_, err = r.scan("", "", "", 0)
		t.wantInvalid("ScanDocuments with an empty kind", err, "kind")
		_, err = r.scan(kind, "a\x00", "", 0)
		t.wantInvalid("ScanDocuments from an id with NUL", err, "from")
		_, err = r.scan(kind, "", "\xff", 0)
		t.wantInvalid("ScanDocuments to an id that is not UTF-8", err, "to")
		_, err = r.scan(kind, "", "", -1)
		t.wantInvalid("ScanDocuments with a negative limit", err, "limit")
	}
}

// bothWays returns two readers of documents: the store, which reads committed
// documents, and a transaction.
func (t *check) bothWays(st store.Documents) []readDocuments {
	return []readDocuments{t.committed(st), {
		load: func(kind string, ids []string) (docs []store.Document, err error) {
			t.update(t.store, func(tx store.Tx) error { docs, err = tx.LoadDocuments(kind, ids); return nil })
			return docs, err
		},
		scan: func(kind, from, to string, limit int) (docs []store.Document, err error) {
			t.update(t.store, func(tx store.Tx) error { docs, err = tx.ScanDocuments(kind, from, to, limit); return nil })
			return docs, err
		},
	}}
}

func documentMany(t *check) {
	kind := newKind()
	docs := make([]store.Document, t.times(store.MaxDocuments))
	for i := range docs {
		docs[i] = store.Document{Kind: kind, ID: fmt.Sprintf("%05d", i), Data: fmt.Append(nil, i)}
	}
	t.saveDocuments(t.store, docs...)
	for _, st := range t.bothWays(t.documents()) {
		t.must(st.wantsLoad(kind, docs))
		t.must(st.wantsScan(kind, "", "", len(docs), docs))
	}
}

func documentEnded(t *check) {
	st, kind := t.documents(), newKind()
	t.saveDocuments(t.store, store.Document{Kind: kind, ID: "a", Data: []byte("a")})
	for cause, ctx := range t.ended() {
		calls := map[string]func(ctx context.Context) error{
			"LoadDocuments": func(ctx context.Context) error { _, err := st.LoadDocuments(ctx, kind, []string{"a"}); return err },
			"ScanDocuments": func(ctx context.Context) error { _, err := st.ScanDocuments(ctx, kind, "", "", 0); return err },
		}
		for name, call := range calls {
			if err := call(ctx); !errors.Is(err, cause) {
				t.Fatalf("%s with an ended context = %s, want %v", name, answer(err), cause)
			}
		}
	}
}

func documentTenants(t *check) {
	a, b := newTenantsAs[store.Documents](t, "store.Documents")
	kind := newKind()
	doc := func(data string) store.Document { return store.Document{Kind: kind, ID: "1", Data: []byte(data)} }
	inA, inB := t.committed(a), t.committed(b)
	tenantA, _ := a.(store.Store)
	tenantB, _ := b.(store.Store)
	t.saveDocuments(tenantA, doc("of a"))
	t.must(inB.wantsLoad(kind, []store.Document{{Kind: kind, ID: "1"}}))
	t.must(inB.wantsScan(kind, "", "", 0, nil))
	t.must(t.committed(t.documents()).wantsScan(kind, "", "", 0, nil))
	t.saveDocuments(tenantB, doc("of b"))
	t.must(inA.wantsLoad(kind, []store.Document{doc("of a")}))
	t.must(inB.wantsLoad(kind, []store.Document{doc("of b")}))
	t.saveDocuments(tenantB, store.Document{Kind: kind, ID: "1"})
	t.must(inA.wantsScan(kind, "", "", 0, []store.Document{doc("of a")}))
	t.must(t.committed(t.documents()).wantsScan(kind, "", "", 0, nil))
}
