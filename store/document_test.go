package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
)

func TestValidateDocuments(t *testing.T) {
	t.Parallel()
	good := store.Document{Kind: "balance", ID: "acc-1", Data: []byte("1")}
	with := func(change func(*store.Document)) error {
		d := good
		change(&d)
		return store.ValidateDocuments([]store.Document{good, d})
	}
	long := strings.Repeat("x", store.MaxDocumentID+1)
	many := make([]string, store.MaxDocuments+1)
	big := make([]byte, store.MaxDocument+1)
	for name, tt := range map[string]struct {
		err   error
		field string
	}{
		"no kind":                {with(func(d *store.Document) { d.Kind = "" }), "documents[1].kind"},
		"kind with NUL":          {with(func(d *store.Document) { d.Kind = "a\x00" }), "documents[1].kind"},
		"no id":                  {with(func(d *store.Document) { d.ID = "" }), "documents[1].id"},
		"id not UTF-8":           {with(func(d *store.Document) { d.ID = "caf\xe9" }), "documents[1].id"},
		"long id":                {with(func(d *store.Document) { d.ID = long }), "documents[1].id"},
		"much data":              {with(func(d *store.Document) { d.Data = big }), "documents[1].data"},
		"many":                   {store.ValidateDocuments(make([]store.Document, store.MaxDocuments+1)), "documents"},
		"load: kind":             {store.ValidateLoad("", []string{"a"}), "kind"},
		"load: id":               {store.ValidateLoad("balance", []string{"a", ""}), "ids[1]"},
		"load: many":             {store.ValidateLoad("balance", many), "ids"},
		"scan: kind":             {store.ValidateScan("", "", "", 0), "kind"},
		"scan: from":             {store.ValidateScan("balance", "\xff", "", 0), "from"},
		"scan: to":               {store.ValidateScan("balance", "", long, 0), "to"},
		"scan: limit":            {store.ValidateScan("balance", "", "", -1), "limit"},
		"too much data in total": {store.ValidateDocuments(tooMuch()), "documents"},
	} {
		var invalid *store.InvalidError
		if !errors.As(tt.err, &invalid) || invalid.Field != tt.field {
			t.Errorf("%s: %v, want an *InvalidError about %s", name, tt.err, tt.field)
		}
	}
	if err := errors.Join(
		with(func(*store.Document) {}),
		with(func(d *store.Document) { d.Data = nil }),
		with(func(d *store.Document) { d.ID = long[1:] }),
		store.ValidateDocuments(nil),
		store.ValidateLoad("balance", nil),
		store.ValidateLoad("balance", []string{"a", "a"}),
		store.ValidateScan("balance", "", "", 0),
		store.ValidateScan("balance", "b", "a", 7),
	); err != nil {
		t.Errorf("valid documents: %v", err)
	}
}

// TestValidateDocumentsTotal checks that documents may have as much data in total as
// the documentation says, and not a byte more.
func TestValidateDocumentsTotal(t *testing.T) {
	t.Parallel()
	docs := tooMuch()
	last := len(docs) - 1
	if err := store.ValidateDocuments(docs[:last]); err != nil {
		t.Errorf("ValidateDocuments of exactly MaxBatchData = %v", err)
	}
	docs[last].Data = docs[last].Data[:1]
	if invalid, ok := errors.AsType[*store.InvalidError](store.ValidateDocuments(docs)); !ok || invalid.Field != "documents" {
		t.Errorf("ValidateDocuments of a byte more than MaxBatchData = %v, want an *InvalidError about documents", invalid)
	}
}

// tooMuch returns documents that are each small enough, but too large in total.
func tooMuch() []store.Document {
	data := make([]byte, store.MaxDocument)
	docs := make([]store.Document, store.MaxBatchData/store.MaxDocument+1)
	for i := range docs {
		docs[i] = store.Document{Kind: "k", ID: strings.Repeat("i", i+1), Data: data}
	}
	return docs
}
