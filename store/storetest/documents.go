package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store"
)

func hasDocuments(st store.Store) bool {
	_, ok := st.(store.Documents)
	return ok && hasUpdate(st)
}

func documentClauses() []clause {
	return []clause{
		{"a load returns the saved bytes, in the requested order", documentFidelity},
		{"a document of 1 MiB comes back", documentLarge},
		{"kinds and ids are kept apart, byte for byte", documentNames},
		{"the last of several documents with one name wins", documentLastWins},
		{"nil removes a document, and empty data does not", documentRemoved},
		{"a scan is in byte order", documentOrder},
		{"a scan respects its bounds and its limit", documentBounds},
		{"a transaction sees what it has saved", documentInside},
		{"the caller can change saved and loaded data", documentAliases},
		{"invalid arguments are refused", documentRefuses},
		{"many documents are saved and loaded in one call", documentMany},
		{"nothing is loaded with an ended context", documentEnded},
		{"documents of tenants are separate", documentTenants},
	}
}

// newKind returns an unused kind of documents.
func newKind() string { return "kind " + store.NewID() }

func (t *check) documents() store.Documents { return as[store.Documents](t, t.store) }

func (t *check) saveDocuments(st store.Store, docs ...store.Document) {
	t.Helper()
	t.update(st, func(tx store.Tx) error { return tx.SaveDocuments(docs) })
}

// readDocuments loads and scans documents: a store, or a transaction.
type readDocuments struct {
	load func(kind string, ids []string) ([]store.Document, error)
	scan func(kind, from, to string, limit int) ([]store.Document, error)
}

func (t *check) committed(st store.Documents) readDocuments {
	return readDocuments{
		load: func(kind string, ids []string) ([]store.Document, error) { return st.LoadDocuments(t.ctx, kind, ids) },
		scan: func(kind, from, to string, limit int) ([]store.Document, error) {
			return st.ScanDocuments(t.ctx, kind, from, to, limit)
		},
	}
}

// wantsLoad loads the documents in want and returns an error if they differ. A document
// with nil Data must not exist.
func (r readDocuments) wantsLoad(kind string, want []store.Document) error {
	ids := make([]string, len(want))
	for i := range want {
		ids[i] = want[i].ID
	}
	got, err := r.load(kind, ids)
	if err != nil {
		return fmt.Errorf("LoadDocuments(%+q, %d ids) failed: %w", kind, len(ids), err)
	}
	return differDocuments(fmt.Sprintf("LoadDocuments(%+q, %.200q)", kind, ids), got, want)
}

// wantsScan scans documents and returns an error if the scan does not find want.
func (r readDocuments) wantsScan(kind, from, to string, limit int, want []store.Document) error {
	call := fmt.Sprintf("ScanDocuments(%+q, %.80q, %.80q, %d)", kind, from, to, limit)
	got, err := r.scan(kind, from, to, limit)
	if err != nil {
		return fmt.Errorf("%s failed: %w", call, err)
	}
	return differDocuments(call, got, want)
}

func differDocuments(call string, got, want []store.Document) error {
	for i := range min(len(got), len(want)) {
		g, w := &got[i], &want[i]
		is, should := g.Data != nil, w.Data != nil
		switch {
		case g.Kind != w.Kind || g.ID != w.ID:
			return fmt.Errorf("%s: document %d is %+q, %.80q; want %+q, %.80q", call, i+1, g.Kind, g.ID, w.Kind, w.ID)
		case is != should:
			return fmt.Errorf("%s: document %.80q exists: %t, want %t", call, g.ID, is, should)
		case !bytes.Equal(g.Data, w.Data):
			return fmt.Errorf("%s: Data of document %.80q is %s, want %s", call, g.ID, excerpt(g.Data), excerpt(w.Data))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d documents, want %d", call, len(got), len(want))
	}
	return nil
}

func documentFidelity(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	t.must(st.wantsLoad(kind, []store.Document{{Kind: kind, ID: "1"}}))
	t.must(st.wantsLoad(kind, nil))
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var docs []store.Document
	for i, data := range [][]byte{{}, {0}, {0, 0}, {0xff}, every, []byte("\xed\xa0\x80"), []byte("null"), []byte(`{"a": 1, "a":1.0}`), []byte(" \n")} {
		docs = append(docs, store.Document{Kind: kind, ID: strconv.Itoa(9 - i), Data: data})
	}
	t.saveDocuments(t.store, docs...)
	t.must(st.wantsLoad(kind, docs))
	slices.Reverse(docs)
	t.must(st.wantsLoad(kind, docs))
	t.must(st.wantsLoad(kind, []store.Document{docs[1], {Kind: kind, ID: "missing"}, docs[0], docs[1]}))
	docs[0].Data = []byte("changed")
	t.saveDocuments(t.store, docs[0])
	t.must(st.wantsLoad(kind, docs))
}

func documentLarge(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	docs := []store.Document{
		{Kind: kind, ID: "a", Data: make([]byte, 1<<20)},
		{Kind: kind, ID: strings.Repeat("i", store.MaxDocumentID-1) + "a", Data: []byte("a long id")},
		{Kind: kind, ID: strings.Repeat("i", store.MaxDocumentID-1) + "b", Data: []byte("another")},
	}
	for i := range docs[0].Data {
		docs[0].Data[i] = byte(i * i >> 3)
	}
	t.saveDocuments(t.store, docs...)
	t.must(st.wantsLoad(kind, docs))
	t.must(st.wantsScan(kind, "", "", 0, docs))
}

func documentNames(t *check) {
	st := t.committed(t.documents())
	tag := newTag()
	var all []store.Document
	for i, name := range fresh(tag) {
		all = append(all,
			store.Document{Kind: tag, ID: name, Data: fmt.Append(nil, i)},
			store.Document{Kind: tag, ID: name + "id", Data: fmt.Append(nil, "id ", i)},
			store.Document{Kind: name, ID: "id", Data: fmt.Append(nil, "kind ", i)},
			store.Document{Kind: name, ID: tag + "id", Data: fmt.Append(nil, "tag ", i)})
	}
	t.saveDocuments(t.store, all...)
	for _, d := range all {
		t.must(st.wantsLoad(d.Kind, []store.Document{d}))
	}
}

func documentLastWins(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	doc := func(id, data string) store.Document { return store.Document{Kind: kind, ID: id, Data: []byte(data)} }
	gone := func(id string) store.Document { return store.Document{Kind: kind, ID: id} }
	t.saveDocuments(t.store, doc("a", "1"), doc("b", "1"), doc("a", "2"), gone("b"), gone("c"), doc("c", "3"), doc("a", "3"), doc("d", "old"))
	t.must(st.wantsLoad(kind, []store.Document{doc("a", "3"), gone("b"), doc("c", "3"), doc("d", "old")}))
	t.update(t.store, func(tx store.Tx) error {
		return errors.Join(
			tx.SaveDocuments([]store.Document{doc("a", "4"), gone("c"), doc("b", "4")}),
			tx.SaveDocuments([]store.Document{gone("a"), doc("c", "5"), doc("d", "5")}),
			tx.SaveDocuments([]store.Document{doc("a", "6"), doc("d", "6"), gone("d")}))
	})
	t.must(st.wantsLoad(kind, []store.Document{doc("a", "6"), doc("b", "4"), doc("c", "5"), gone("d")}))
	t.must(st.wantsScan(kind, "", "", 0, []store.Document{doc("a", "6"), doc("b", "4"), doc("c", "5")}))
}

func documentRemoved(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	gone := []store.Document{{Kind: kind, ID: "a"}, {Kind: kind, ID: "b"}}
	t.saveDocuments(t.store, gone...)
	t.saveDocuments(t.store)
	t.must(st.wantsLoad(kind, gone))
	empty := []store.Document{{Kind: kind, ID: "a", Data: []byte{}}, {Kind: kind, ID: "b", Data: []byte("b")}}
	t.saveDocuments(t.store, empty...)
	t.must(st.wantsLoad(kind, empty))
	t.must(st.wantsScan(kind, "", "", 0, empty))
	t.saveDocuments(t.store, gone[0])
	t.must(st.wantsLoad(kind, []store.Document{gone[0], empty[1]}))
	t.must(st.wantsScan(kind, "", "", 0, empty[1:]))
	t.saveDocuments(t.store, empty[0])
	t.must(st.wantsLoad(kind, empty))
}

func documentOrder(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	var all []store.Document
	for i, id := range alike() {
		all = append(all, store.Document{Kind: kind, ID: id, Data: fmt.Append(nil, i)})
	}
	t.saveDocuments(t.store, append(slices.Clone(all), store.Document{Kind: kind + "!", ID: "m", Data: []byte("another kind")})...)
	slices.SortFunc(all, func(a, b store.Document) int { return strings.Compare(a.ID, b.ID) })
	t.must(st.wantsScan(kind, "", "", 0, all))
	for i := range all {
		t.must(st.wantsScan(kind, all[i].ID, "", 1, all[i:i+1]))
		t.must(st.wantsScan(kind, "", all[i].ID, 0, all[:i]))
	}
}

func documentBounds(t *check) {
	st, kind := t.committed(t.documents()), newKind()
	var all []store.Document
	for i := range store.DefaultLimit + 20 {
		all = append(all, store.Document{Kind: kind, ID: fmt.Sprintf("%05d", i), Data: fmt.Append(nil, i)})
	}
	t.saveDocuments(t.store, all...)
	t.must(boundsOf(st, kind, all))
	t.must(st.wantsScan(newKind(), "", "", 0, nil))
}

// boundsOf tries different bounds of a scan. The documents in all have ids that are
// numbers of five digits, from 0 on.
func boundsOf(r readDocuments, kind string, all []store.Document) error {
	n := len(all)
	id := func(i int) string { return fmt.Sprintf("%05d", i) }
	return errors.Join(
		r.wantsScan(kind, "", "", 0, all[:min(n, store.DefaultLimit)]),
		r.wantsScan(kind, "", "", n+1, all),
		r.wantsScan(kind, "", "", math.MaxInt, all),
		r.wantsScan(kind, "", "", n, all),
		r.wantsScan(kind, "", "", n-1, all[:n-1]),
		r.wantsScan(kind, "", "", 1, all[:1]),
		r.wantsScan(kind, id(3), id(5), 0, all[3:5]),
		r.wantsScan(kind, id(3), id(5), 1, all[3:4]),
		r.wantsScan(kind, id(3)+"!", id(5)+"!", 0, all[4:6]),
		r.wantsScan(kind, id(4), id(4), 0, nil),
		r.wantsScan(kind, id(5), id(4), 0, nil),
		r.wantsScan(kind, id(n-1), "", 0, all[n-1:]),
		r.wantsScan(kind, id(n), "", 0, nil),
		r.wantsScan(kind, "", id(0), 0, nil),
		r.wantsScan(kind, "", id(1), 0, all[:1]),
		r.wantsScan(kind, "0", "1", 3, all[:3]),
	)
}

func documentInside(t *check) {
	kind := newKind()
	var all []store.Document
	for i := range 30 {
		all = append(all, store.Document{Kind: kind, ID: fmt.Sprintf("%05d", i), Data: fmt.Append(nil, i)})
	}
	var before, now []store.Document
	for i, d := range all {
		if i%3 != 0 { // committed before; some are replaced or removed inside
			before = append(before, store.Document{Kind: kind, ID: d.ID, Data: []byte("old")})
		}
		if i%3 != 1 {
			now = append(now, d)
		} else {
			all[i].Data = []byte("old")
		}
	}
	extra := store.Document{Kind: kind, ID: "00004!", Data: []byte("removed")}
	t.saveDocuments(t.store, append(before, extra)...)
	var inside error
	t.update(t.store, func(tx store.Tx) error {
		st := readDocuments{tx.LoadDocuments, tx.ScanDocuments}
		if err := st.wantsLoad(kind, before); err != nil {
			return err
		}
		extra.Data = nil
		if err := tx.SaveDocuments(append(now, extra)); err != nil {
			return err
		}
		inside = errors.Join(boundsOf(st, kind, all), st.wantsLoad(kind, append(slices.Clone(all), extra)))
		return nil
	})
	if inside != nil {
		t.Fatalf("in a transaction: %v", inside)
	}
	st := t.committed(t.documents())
	t.must(errors.Join(boundsOf(st, kind, all), st.wantsLoad(kind, append(slices.Clone(all), extra))))
}
