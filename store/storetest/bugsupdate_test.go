package storetest_test

import "slices"

// updateBugs are those that the clauses about transactions and documents must find.
func updateBugs() map[string][]string {
	return map[string][]string{
		"Update/what it writes is committed together": {
			"an update forgets events", "an update forgets snapshots", "an update forgets checkpoints", "an update forgets claims",
			"an update forgets documents", "an update is called twice",
		},
		"Update/an error leaves nothing, and is returned as it is": {
			"events of a failed update are kept", "snapshots of a failed update are kept", "checkpoints of a failed update are kept",
			"claims of a failed update are kept", "documents of a failed update are kept", "an update wraps its error",
		},
		"Update/a panic leaves nothing, and reaches the caller as it is":   {"a panic commits", "a panic becomes an error"},
		"Update/its function is not called under a context that has ended": {"an ended update is called", "context ignored", "context hidden"},
		"Update/a context that ends meanwhile leaves all of it or nothing": {
			"an ended update is kept in part", "an ended update is said to be kept", "an ended update fails untyped",
		},
		"Update/its transaction is of no use after it returns": {
			"Append goes on after the update", "AppendClaiming goes on after the update", "LoadDocuments goes on after the update",
			"ScanDocuments goes on after the update", "LoadCheckpoint goes on after the update", "SaveCheckpoint goes on after the update",
			"SaveDocuments goes on after the update", "SaveSnapshot goes on after the update", "a done transaction writes",
		},
		"Update/a write of the store in its function does not wait for it": {
			"a write in an update waits", "a write in an update is refused and kept", "a write in an update fails untyped",
			"a write in an update is told and lost", "an update forgets documents",
		},
		"Update/nobody sees a part of it before it is committed": {
			"events of an update are seen before", "snapshots of an update are seen before", "checkpoints of an update are seen before",
			"claims of an update are seen before", "documents of an update are seen before",
		},
		"Update/it sees what it has written": {
			"an update does not see its versions", "an update does not see its claims", "an update does not see its ids",
			"an update does not see its checkpoints", "an update does not see its documents", "an update does not scan its documents",
			"an update saves any checkpoint", "an update does not tell a replay", "an update tells of replays only", "positions of an update are void",
		},
		"Update/it reads streams as they are with what it has appended": {
			"an update does not read what it appended", "an update reads unchecked", "negative limit accepted", "backward off by one", "beyond is the head",
			"next is the last", "an update forgets events",
		},
		"Update/a refused call changes nothing, and the transaction can go on": {
			"a refused append ends the transaction", "a refused snapshot ends the transaction", "a refused checkpoint ends the transaction",
			"a refused document ends the transaction", "refused documents are saved in part", "a refused append in an update is kept",
			"an update saves any checkpoint", "documents unchecked", "claims made one by one",
		},
		"Update/an append in it is replayed when it is sent again":                         {"ids of an update are forgotten", "an update does not replay"},
		"Update/what it appends is in the log, in order, beside other appends":             {"updates take no turns", "half an update is seen", "an update is not in the log"},
		"Update/a checkpoint that is saved keeps others waiting, who then find a conflict": {"updates take no turns", "a checkpoint that is held is saved", "an update saves any checkpoint"},
		"Update/none of several concurrent ones is lost":                                   {"updates take no turns", "half an update is seen"},
		"Update/a transaction of a tenant writes nothing of another tenant":                {"an update of any tenant is the default's", "tenants share documents", "tenants share checkpoints"},

		"Documents/what was saved is loaded, byte for byte, in the order that was asked for": {
			"document data as text", "documents in any order", "missing documents left out", "a document asked for twice comes once",
			"a document is never replaced",
		},
		"Documents/a document of 1 MiB comes back":              {"document cut", "document ids cut"},
		"Documents/kinds and ids are kept apart, byte for byte": append(letters("document kinds", "document ids"), "kind and id run together", "all kinds are one"),
		"Documents/the last of equal names wins":                {"the first of equal names wins", "removals come first", "removals come last"},
		"Documents/nil removes a document, and empty data does not": {
			"nil is empty", "empty is nil", "removing what is missing is an error", "documents are never removed", "a document is never replaced",
		},
		"Documents/a scan is in byte order": {"a scan ignores case", "a scan is in the order of UTF-16", "a scan is of all kinds", "document ids folded"},
		"Documents/a scan keeps to its bounds and its limit": {
			"a scan begins after its first", "a scan ends with its last", "a scan ignores its end", "a scan of limit zero is all",
			"a scan ignores its limit", "a scan is cut", "a scan is of all kinds",
		},
		"Documents/a transaction scans and loads what it has saved": {
			"an update does not see its documents", "an update does not scan its documents", "documents are never removed",
		},
		"Documents/what was saved and what was loaded can be changed": {"documents aliased in", "a single document aliased in", "documents aliased out"},
		"Documents/invalid ones are refused": slices.Concat(
			unchecked("load", "kind", "ids"), unchecked("scan", "kind", "from", "to", "limit"),
			[]string{"documents unchecked", "loads unchecked", "scans unchecked", "refused documents are saved in part", "invalid untyped"}),
		"Documents/many are saved and loaded at once":                {"many documents cut", "loads cut", "a scan is cut"},
		"Documents/under a context that has ended nothing is loaded": {"context ignored", "context hidden"},
		"Documents/documents of tenants are apart":                   {"tenants share documents", "an update of any tenant is the default's"},
		"Reopened documents/they are as they were":                   {"what is beside events is not kept"},
	}
}
