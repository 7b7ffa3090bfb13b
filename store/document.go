package store

import (
	"context"
	"fmt"
)

// Limits on documents, which hold for every store.
const (
	MaxDocumentID = 1536    // bytes in the id of a document
	MaxDocument   = MaxData // bytes of data in a document
	MaxDocuments  = 10_000  // documents in one save, and ids in one load
)

// Document is a value under a kind and an id, in a tenant. It belongs to the program
// that saves it: a read model, or notes of its own. A document is not an event and has
// no history.
type Document struct {
	// Kind groups documents, such as "balance". It is 1 to [MaxName] bytes.
	Kind string
	// ID names the document within its kind. It is 1 to [MaxDocumentID] bytes. A scan
	// returns documents in the byte order of their ids.
	ID string
	// Data is the content. Nil means no document: saving nil removes the document. Empty
	// but not nil is a document without content.
	Data []byte
}

// Documents is a store that keeps documents. Its methods return what the last committed
// transaction left. Write documents in a transaction, with [DocumentTx]. It is safe for
// concurrent use.
type Documents interface {
	// LoadDocuments is [DocumentTx.LoadDocuments] without a transaction.
	LoadDocuments(ctx context.Context, kind string, ids []string) ([]Document, error)

	// ScanDocuments is [DocumentTx.ScanDocuments] without a transaction.
	ScanDocuments(ctx context.Context, kind, from, to string, limit int) ([]Document, error)
}

// DocumentTx reads and writes documents in a transaction. It sees what the transaction
// has saved. It is not safe for concurrent use.
type DocumentTx interface {
	// LoadDocuments returns one document for each of ids, in the same order. Data is nil
	// for a document that does not exist. The caller owns the result. LoadDocuments
	// returns an *InvalidError if kind and ids break a rule of [ValidateLoad].
	LoadDocuments(kind string, ids []string) ([]Document, error)

	// SaveDocuments writes documents, and removes those whose Data is nil. Removing a
	// document that does not exist is not an error. If two of docs have the same kind and
	// id, the last one wins. It copies Data, and writes all documents or none. It returns
	// an *InvalidError if docs break a rule of [ValidateDocuments].
	SaveDocuments(docs []Document) error

	// ScanDocuments returns the documents of kind with from ≤ id < to, in the byte order
	// of their ids. An empty from starts at the first id, an empty to means no end. It
	// returns at most limit documents, and fewer only if there are no more; a limit of 0
	// means [DefaultLimit]. The caller owns the result. ScanDocuments returns an
	// *InvalidError if the arguments break a rule of [ValidateScan].
	ScanDocuments(kind, from, to string, limit int) ([]Document, error)
}

// ValidateLoad returns an *InvalidError if documents of this kind cannot have these
// ids, or if there are more than [MaxDocuments] ids. Ids may repeat. An empty ids is
// valid.
func ValidateLoad(kind string, ids []string) error {
	if err := validateName("kind", kind); err != nil {
		return err
	}
	if err := validateCount("ids", len(ids)); err != nil {
		return err
	}
	for i, id := range ids {
		if err := checkDocumentID(id); err != nil {
			err.Field = fmt.Sprintf("ids[%d]", i)
			return err
		}
	}
	return nil
}

// ValidateDocuments returns an *InvalidError if docs cannot be saved together. There
// may be at most [MaxDocuments]. Each kind must be 1 to [MaxName] bytes and each id 1
// to [MaxDocumentID] bytes of valid UTF-8 without NUL. Each document may have at most
// [MaxDocument] bytes of data, and all of them together at most [MaxBatchData]. An
// empty docs is valid.
func ValidateDocuments(docs []Document) error {
	if err := validateCount("documents", len(docs)); err != nil {
		return err
	}
	size := 0
	for i := range docs {
		if err := checkDocument(&docs[i]); err != nil {
			err.Field = fmt.Sprintf("documents[%d].%s", i, err.Field)
			return err
		}
		size += len(docs[i].Data)
	}
	if size > MaxBatchData {
		return &InvalidError{"documents", fmt.Sprintf("has %d bytes of data, more than %d", size, MaxBatchData)}
	}
	return nil
}

// ValidateScan returns an *InvalidError if these arguments are invalid for a scan: kind
// must be a name, from and to must each be empty or an id, and limit must not be
// negative. A to at or before from is valid: the scan returns nothing.
func ValidateScan(kind, from, to string, limit int) error {
	if err := validateName("kind", kind); err != nil {
		return err
	}
	if err := checkText("from", from, MaxDocumentID); err != nil {
		return err
	}
	if err := checkText("to", to, MaxDocumentID); err != nil {
		return err
	}
	return validateLimit(limit)
}

func checkDocument(d *Document) *InvalidError {
	if err := checkName("kind", d.Kind); err != nil {
		return err
	}
	if err := checkDocumentID(d.ID); err != nil {
		return err
	}
	if len(d.Data) > MaxDocument {
		return &InvalidError{"data", fmt.Sprintf("has %d bytes, more than %d", len(d.Data), MaxDocument)}
	}
	return nil
}

func checkDocumentID(id string) *InvalidError {
	if id == "" {
		return &InvalidError{"id", "is empty"}
	}
	return checkText("id", id, MaxDocumentID)
}

func validateCount(field string, n int) error {
	if n > MaxDocuments {
		return &InvalidError{field, fmt.Sprintf("has %d, more than %d", n, MaxDocuments)}
	}
	return nil
}
