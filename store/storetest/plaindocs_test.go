package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/evolvego/evolve/store"
)

// docKey is the name of a document.
type docKey struct{ kind, id string }

// docKey returns the name of a document as a bug sees it.
func (p *plain) docKey(kind, id string) docKey {
	switch p.bug {
	case "kind and id are joined":
		return docKey{"", kind + id}
	case "all kinds are the same":
		kind = ""
	}
	return docKey{p.letter("document kinds", kind), p.letter("document ids", id)}
}

// validateDocuments is store.ValidateDocuments without the checks that a bug forgets.
func (p *plain) validateDocuments(docs []store.Document) error {
	if p.is("documents are not validated") {
		return nil
	}
	for i := range docs {
		if p.is("removing a missing document is an error") && docs[i].Data == nil && p.docs[p.docKey(docs[i].Kind, docs[i].ID)].Data == nil {
			return errors.New("0 rows")
		}
	}
	err := store.ValidateDocuments(docs)
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok && p.is("save does not check "+invalid.Field[strings.LastIndexByte(invalid.Field, '.')+1:]) {
		return nil
	}
	if err != nil && p.is("invalid arguments return an untyped error") {
		return errors.New("bad request")
	}
	return err
}

func (p *plain) saveDocuments(docs []store.Document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.bug {
	case "the first of equal names wins":
		docs = slices.Clone(docs)
		slices.Reverse(docs)
	case "removals come first":
		docs = slices.Clone(docs)
		slices.SortStableFunc(docs, func(a, b store.Document) int { return min(len(a.Data), 1) - min(len(b.Data), 1) })
	case "removals come last":
		docs = slices.Clone(docs)
		slices.SortStableFunc(docs, func(a, b store.Document) int { return min(len(b.Data), 1) - min(len(a.Data), 1) })
	case "many documents are truncated":
		docs = docs[:min(len(docs), 1500)]
	}
	for _, d := range docs {
		key := p.docKey(d.Kind, d.ID)
		if _, had := p.docs[key]; had && p.is("a document is never replaced") {
			continue
		}
		if d.Data == nil && p.is("nil becomes empty data") {
			d.Data = []byte{}
		}
		if d.Data == nil || len(d.Data) == 0 && p.is("empty data becomes nil") {
			if !p.is("documents are never removed") {
				delete(p.docs, key)
			}
			continue
		}
		p.docs[key] = p.keptDocument(d, len(docs))
	}
}

// forgets reports whether a bug skips the check that returned err for a call.
func (b *backend) forgets(call string, err error) bool {
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		return false
	}
	field, _, _ := strings.Cut(invalid.Field, "[")
	return b.is(call + " does not check its " + field)
}

// unchecked returns the bugs of a call that skips the check of one of these fields.
func unchecked(call string, fields ...string) (bugs []string) {
	for _, field := range fields {
		bugs = append(bugs, call+" does not check its "+field)
	}
	return bugs
}

// keptDocument returns d as the store keeps it, depending on how many documents were
// saved with it.
func (p *plain) keptDocument(d store.Document, n int) store.Document {
	if aliased := p.is("the store aliases saved documents") || p.is("the store aliases a single saved document") && n == 1; !aliased {
		d.Data = append([]byte{}, d.Data...)
	}
	switch p.bug {
	case "document data is converted to text":
		d.Data = bytes.ToValidUTF8(d.Data, []byte("?"))
	case "documents are truncated":
		d.Data = d.Data[:min(len(d.Data), 64<<10)]
	}
	return d
}

// lent returns d as a caller receives it.
func (p *plain) lent(d store.Document) store.Document {
	if !p.is("loaded documents alias the store") {
		d.Data = bytes.Clone(d.Data)
	}
	return d
}

func (p *plain) LoadDocuments(ctx context.Context, kind string, ids []string) ([]store.Document, error) {
	if err := store.ValidateLoad(kind, ids); err != nil && !p.is("loads are not validated") && !p.forgets("load", err) {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	switch p.bug {
	case "documents are unsorted":
		ids = slices.Sorted(slices.Values(ids))
	case "a document that is requested twice is returned once":
		var once []string
		for _, id := range ids {
			if !slices.Contains(once, id) {
				once = append(once, id)
			}
		}
		ids = once
	case "loads are truncated":
		ids = ids[:min(len(ids), 1500)]
	}
	docs := make([]store.Document, 0, len(ids))
	for _, id := range ids {
		d, ok := p.docs[p.docKey(kind, id)]
		if !ok && p.is("missing documents left out") {
			continue
		}
		if d.Kind, d.ID = kind, id; p.is("loaded documents have no kind") {
			d.Kind = ""
		}
		docs = append(docs, p.lent(d))
	}
	return docs, nil
}

func (p *plain) ScanDocuments(ctx context.Context, kind, from, to string, limit int) ([]store.Document, error) {
	if err := store.ValidateScan(kind, from, to, limit); err != nil && !p.is("scans are not validated") && !p.forgets("scan", err) {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	var docs []store.Document
	for _, d := range p.docs {
		switch {
		case d.Kind != kind && !p.is("a scan returns all kinds"),
			d.ID < from || d.ID == from && from != "" && p.is("a scan excludes its lower bound"),
			to != "" && (d.ID > to || d.ID == to && !p.is("a scan includes its upper bound")) && !p.is("a scan ignores its end"):
			continue
		}
		docs = append(docs, p.lent(d))
	}
	slices.SortFunc(docs, func(a, b store.Document) int { return p.compare(a.ID, b.ID) })
	switch {
	case limit == 0 && p.is("a scan with limit zero has no limit"):
		limit = len(docs)
	case limit == 0:
		limit = store.DefaultLimit
	}
	if p.is("a scan ignores its limit") {
		limit = len(docs)
	}
	if p.is("a scan is cut") {
		limit = min(limit, store.DefaultLimit)
	}
	return docs[:min(max(limit, 0), len(docs))], nil
}

// compare compares ids as a bug does.
func (p *plain) compare(a, b string) int {
	switch p.bug {
	case "a scan ignores case":
		if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
			return c
		}
	case "a scan is in the order of UTF-16":
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	}
	return strings.Compare(a, b)
}
