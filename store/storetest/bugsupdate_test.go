package storetest_test

import "slices"

// updateBugs returns the bugs that the clauses about transactions and documents must
// find.
func updateBugs() map[string][]string {
	return map[string][]string{
		"Update/its writes are committed together": {
			"an update loses events", "an update loses snapshots", "an update loses checkpoints", "an update loses claims",
			"an update loses documents", "an update calls its function twice",
		},
		"Update/an error rolls back, and is returned unchanged": {
			"events of a failed update are kept", "snapshots of a failed update are kept", "checkpoints of a failed update are kept",
			"claims of a failed update are kept", "documents of a failed update are kept", "an update wraps its error",
		},
		"Update/a panic rolls back, and reaches the caller unchanged": {"a panic commits", "a panic becomes an error"},
		"Update/its function is not called with an ended context":     {"an ended update calls its function", "context ignored", "context hidden"},
		"Update/a context that ends during it commits everything or nothing": {
			"an ended update is kept in part", "an ended update returns success", "an ended update fails untyped",
		},
		"Update/its transaction is unusable after it returns": {
			"Append still works after the update", "AppendClaiming still works after the update", "LoadDocuments still works after the update",
			"ScanDocuments still works after the update", "LoadCheckpoint still works after the update", "SaveCheckpoint still works after the update",
			"SaveDocuments still works after the update", "SaveSnapshot still works after the update", "a done transaction writes",
		},
		"Update/a write to the store in its function does not wait for it": {
			"a write in an update waits", "a write in an update is refused and kept", "a write in an update fails untyped",
			"a write in an update succeeds and is lost", "an update loses documents",
		},
		"Update/nobody sees its writes before the commit": {
			"events of an update are seen before", "snapshots of an update are seen before", "checkpoints of an update are seen before",
			"claims of an update are seen before", "documents of an update are seen before",
		},
		"Update/it sees its own writes": {
			"an update does not see its versions", "an update does not see its claims", "an update does not see its ids",
			"an update does not see its checkpoints", "an update does not see its documents", "an update does not scan its documents",
			"an update saves a checkpoint without comparing", "an update does not report a replay", "an update reports every append as a replay", "positions of an update are void",
		},
		"Update/it reads streams including its own appends": {
			"an update does not read its own appends", "reads in an update are not validated", "negative limit is accepted", "backward off by one", "beyond the head means the head",
			"Next is the last position", "an update loses events",
		},
		"Update/a refused call changes nothing, and the transaction can continue": {
			"a refused append ends the transaction", "a refused snapshot ends the transaction", "a refused checkpoint ends the transaction",
			"a refused document ends the transaction", "refused documents are saved in part", "a refused append in an update is kept",
			"an update saves a checkpoint without comparing", "documents are not validated", "claims made one by one",
		},
		"Update/a repeated append in it is replayed":                                {"ids of an update are lost", "an update does not replay"},
		"Update/its appends are in the log, in order, together with other appends":  {"updates run concurrently", "half an update is seen", "an update is not in the log"},
		"Update/a saved checkpoint makes others wait, and then they get a conflict": {"updates run concurrently", "a checkpoint that is held is saved", "an update saves a checkpoint without comparing"},
		"Update/none of several concurrent transactions is lost":                    {"updates run concurrently", "half an update is seen"},
		"Update/a transaction of a tenant writes nothing of another tenant":         {"an update of any tenant writes to the default tenant", "tenants share documents", "tenants share checkpoints"},

		"Documents/a load returns the saved bytes, in the requested order": {
			"document data is converted to text", "documents are unsorted", "missing documents left out", "a document that is requested twice is returned once",
			"a document is never replaced", "loaded documents have no kind",
		},
		"Documents/a document of 1 MiB comes back":                   {"documents are truncated", "document ids cut"},
		"Documents/kinds and ids are kept apart, byte for byte":      append(letters("document kinds", "document ids"), "kind and id are joined", "all kinds are the same"),
		"Documents/the last of several documents with one name wins": {"the first of equal names wins", "removals come first", "removals come last"},
		"Documents/nil removes a document, and empty data does not": {
			"nil becomes empty data", "empty data becomes nil", "removing a missing document is an error", "documents are never removed", "a document is never replaced",
		},
		"Documents/a scan is in byte order": {"a scan ignores case", "a scan is in the order of UTF-16", "a scan returns all kinds", "document ids folded"},
		"Documents/a scan respects its bounds and its limit": {
			"a scan excludes its lower bound", "a scan includes its upper bound", "a scan ignores its end", "a scan with limit zero has no limit",
			"a scan ignores its limit", "a scan is cut", "a scan returns all kinds",
		},
		"Documents/a transaction sees what it has saved": {
			"an update does not see its documents", "an update does not scan its documents", "documents are never removed",
		},
		"Documents/the caller can change saved and loaded data": {"the store aliases saved documents", "the store aliases a single saved document", "loaded documents alias the store"},
		"Documents/invalid arguments are refused": slices.Concat(
			unchecked("load", "kind", "ids"), unchecked("scan", "kind", "from", "to", "limit"),
			[]string{"save does not check kind", "save does not check id", "save does not check data", "save does not check documents", "documents are not validated", "loads are not validated", "scans are not validated", "refused documents are saved in part", "invalid arguments return an untyped error"}),
		"Documents/many documents are saved and loaded in one call": {"many documents are truncated", "loads are truncated", "a scan is cut"},
		"Documents/nothing is loaded with an ended context":         {"context ignored", "context hidden"},
		"Documents/documents of tenants are separate":               {"tenants share documents", "an update of any tenant writes to the default tenant"},
		"Reopened documents/they are unchanged":                     {"only events are kept"},
	}
}
