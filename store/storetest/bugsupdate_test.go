package storetest_test

import "slices"

// updateBugs returns the bugs that the clauses about transactions and documents must
// find.
func updateBugs() map[string][]string {
	return map[string][]string{
		"Update/its writes are committed together": {
			"an update forgets events", "an update forgets snapshots", "an update forgets checkpoints", "an update forgets claims",
			"an update forgets documents", "an update is called twice",
		},
		"Update/an error rolls back, and is returned unchanged": {
			"events of a failed update are kept", "snapshots of a failed update are kept", "checkpoints of a failed update are kept",
			"claims of a failed update are kept", "documents of a failed update are kept", "an update wraps its error",
		},
		"Update/a panic rolls back, and reaches the caller unchanged": {"a panic commits", "a panic becomes an error"},
		"Update/its function is not called with an ended context":     {"an ended update is called", "context ignored", "context hidden"},
		"Update/a context that ends during it commits everything or nothing": {
			"an ended update is kept in part", "an ended update is said to be kept", "an ended update fails untyped",
		},
		"Update/its transaction is unusable after it returns": {
			"Append goes on after the update", "AppendClaiming goes on after the update", "LoadDocuments goes on after the update",
			"ScanDocuments goes on after the update", "LoadCheckpoint goes on after the update", "SaveCheckpoint goes on after the update",
			"SaveDocuments goes on after the update", "SaveSnapshot goes on after the update", "a done transaction writes",
		},
		"Update/a write to the store in its function does not wait for it": {
			"a write in an update waits", "a write in an update is refused and kept", "a write in an update fails untyped",
			"a write in an update is told and lost", "an update forgets documents",
		},
		"Update/nobody sees its writes before the commit": {
			"events of an update are seen before", "snapshots of an update are seen before", "checkpoints of an update are seen before",
			"claims of an update are seen before", "documents of an update are seen before",
		},
		"Update/it sees its own writes": {
			"an update does not see its versions", "an update does not see its claims", "an update does not see its ids",
			"an update does not see its checkpoints", "an update does not see its documents", "an update does not scan its documents",
			"an update saves any checkpoint", "an update does not tell a replay", "an update tells of replays only", "positions of an update are void",
		},
		"Update/it reads streams including its own appends": {
			"an update does not read what it appended", "an update reads unchecked", "negative limit is accepted", "backward off by one", "beyond the head means the head",
			"Next is the last position", "an update forgets events",
		},
		"Update/a refused call changes nothing, and the transaction can continue": {
			"a refused append ends the transaction", "a refused snapshot ends the transaction", "a refused checkpoint ends the transaction",
			"a refused document ends the transaction", "refused documents are saved in part", "a refused append in an update is kept",
			"an update saves any checkpoint", "documents unchecked", "claims made one by one",
		},
		"Update/a repeated append in it is replayed":                                {"ids of an update are forgotten", "an update does not replay"},
		"Update/its appends are in the log, in order, together with other appends":  {"updates take no turns", "half an update is seen", "an update is not in the log"},
		"Update/a saved checkpoint makes others wait, and then they get a conflict": {"updates take no turns", "a checkpoint that is held is saved", "an update saves any checkpoint"},
		"Update/none of several concurrent transactions is lost":                    {"updates take no turns", "half an update is seen"},
		"Update/a transaction of a tenant writes nothing of another tenant":         {"an update of any tenant is the default's", "tenants share documents", "tenants share checkpoints"},

		"Documents/a load returns the saved bytes, in the requested order": {
			"document data as text", "documents in any order", "missing documents left out", "a document asked for twice comes once",
			"a document is never replaced",
		},
		"Documents/a document of 1 MiB comes back":                   {"document cut", "document ids cut"},
		"Documents/kinds and ids are kept apart, byte for byte":      append(letters("document kinds", "document ids"), "kind and id run together", "all kinds are one"),
		"Documents/the last of several documents with one name wins": {"the first of equal names wins", "removals come first", "removals come last"},
		"Documents/nil removes a document, and empty data does not": {
			"nil is empty", "empty is nil", "removing what is missing is an error", "documents are never removed", "a document is never replaced",
		},
		"Documents/a scan is in byte order": {"a scan ignores case", "a scan is in the order of UTF-16", "a scan is of all kinds", "document ids folded"},
		"Documents/a scan respects its bounds and its limit": {
			"a scan begins after its first", "a scan ends with its last", "a scan ignores its end", "a scan of limit zero is all",
			"a scan ignores its limit", "a scan is cut", "a scan is of all kinds",
		},
		"Documents/a transaction sees what it has saved": {
			"an update does not see its documents", "an update does not scan its documents", "documents are never removed",
		},
		"Documents/the caller can change saved and loaded data": {"documents aliased in", "a single document aliased in", "documents aliased out"},
		"Documents/invalid arguments are refused": slices.Concat(
			unchecked("load", "kind", "ids"), unchecked("scan", "kind", "from", "to", "limit"),
			[]string{"documents unchecked", "loads unchecked", "scans unchecked", "refused documents are saved in part", "invalid untyped"}),
		"Documents/many documents are saved and loaded in one call": {"many documents cut", "loads cut", "a scan is cut"},
		"Documents/nothing is loaded with an ended context":         {"context ignored", "context hidden"},
		"Documents/documents of tenants are separate":               {"tenants share documents", "an update of any tenant is the default's"},
		"Reopened documents/they are unchanged":                     {"only events are kept"},
	}
}
