package storetest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// bugs returns the bugs that each clause must find if the plain store has them.
func bugs() map[string][]string {
	all := updateBugs()
	maps.Copy(all, storeBugs())
	maps.Copy(all, refusedBugs())
	maps.Copy(all, finderBugs())
	for clause, more := range moreBugs() {
		for _, bug := range more {
			if !slices.Contains(all[clause], bug) {
				all[clause] = append(all[clause], bug)
			}
		}
	}
	return all
}

// storeBugs returns the bugs for the basic clauses.
func storeBugs() map[string][]string {
	return map[string][]string{
		"Append/versions are 1 to n without a gap": {
			"versions begin at 0", "versions have gaps", "no recording time",
		},
		"Append/returns the version and position of the last event": {"returns the first version", "returns no position", "reports a replay"},
		"Append/a batch keeps its order":                            {"a batch in the wrong order"},
		"Append/NoStream creates a stream once":                     {"NoStream is not checked", "a conflict reports the expected version as actual"},
		"Append/Exactly accepts one version, and a refusal leaves no gap": {
			"too high versions are accepted", "too low versions are accepted", "a refusal leaves a gap", "a conflict reports another expectation",
			"a conflict reports a version too high", "untyped conflict",
		},
		"Append/Exactly of a version does not create a missing stream": {"Exactly creates a stream", "a refusal leaves a stream"},
		"Append/Exists accepts an existing stream and creates none":    {"Exists creates a stream"},
		"Append/Any accepts everything":                                {"Any means NoStream"},
		"Append/a refused batch records nothing and reserves no id":    {"a refusal leaves a stream", "a refusal reserves ids"},
		"Append/streams are kept apart":                                {"stream type and id are joined", "stream types folded"},
		"Append/streams are kept apart, byte for byte":                 letters("stream types", "stream ids"),

		"Contention/exactly one of 8 concurrent creates wins":                            {"version checked before the lock", "NoStream is not checked"},
		"Contention/200 concurrent increments all survive":                               {"version checked before the lock", "untyped conflict when busy"},
		"Contention/every refusal is a conflict with the actual version":                 {"version checked before the lock", "untyped error when busy", "a conflict when busy", "a conflict reports a version too high"},
		"Contention/appends to different streams never conflict":                         {"a conflict when busy", "untyped error when busy"},
		"Contention/appends that expect Any never conflict, and their batches never mix": {"a conflict when busy", "half a batch visible"},
		"Contention/a reader never sees part of a batch":                                 {"half a batch visible", "a torn page"},
		"Contention/a reader never sees part of a large batch":                           {"a large batch in two transactions"},
		"Contention/a read is never older than what its caller knew":                     {"stale reads"},

		"Ids/a repeated batch is replayed, whatever it expects": {
			"a replay is refused", "a replay must match expected", "a replay is not reported", "a replay returns the head", "a replay records again", "event ids are not checked",
		},
		"Ids/consecutive events of several appends are replayed":          {"only whole batches are replayed"},
		"Ids/a replay ignores metadata and time, and keeps the originals": {"different metadata makes a different event"},
		"Ids/a recorded id is a duplicate, and nothing is written": {
			"only the first id is compared", "different data is the same event", "a different type is the same event", "a duplicate reports the wrong stream",
			"a duplicate reports the last id", "untyped duplicate error", "a duplicate is a conflict", "event ids are not checked", "ids unique only in the stream",
			"recorded events in any order are a replay",
		},
		"Ids/a recorded id is reported before a conflict":   {"conflict before duplicate"},
		"Ids/a duplicate reserves no other id of its batch": {"a duplicate reserves ids"},
		"Ids/ids are compared byte for byte":                letters("event ids"),
		"Ids/a recorded id is found anywhere in a large batch": {
			"ids after the 100th are not looked up", "ids after the 100th are not reserved", "only the first 100 are compared", "a replay is not reported",
		},
		"Ids/exactly one of several concurrent appends of a batch records it":                {"ids checked before the lock"},
		"Ids/exactly one of several streams gets an id that is appended to all concurrently": {"ids checked before the lock", "ids unique only in the stream"},

		"Fidelity/data comes back byte for byte":                               {"data is converted to text", "data is trimmed"},
		"Fidelity/1 MiB of data comes back":                                    {"data is truncated"},
		"Fidelity/names come back byte for byte":                               {"types are trimmed", "stream ids trimmed", "stream types folded", "event ids folded"},
		"Fidelity/metadata comes back byte for byte":                           {"empty headers are lost", "header keys folded"},
		"Fidelity/metadata comes back up to its limit":                         {"metadata is truncated"},
		"Fidelity/every schema number comes back":                              {"schema numbers are 16 bits"},
		"Fidelity/an empty content type is stored as application octet-stream": {"empty content type is kept"},
		"Fidelity/times come back to the millisecond":                          {"times are truncated to seconds", "time zone is lost"},
		"Fidelity/the zero time is stored as the time of recording":            {"zero time is kept"},
		"Fidelity/the time of recording is about now":                          {"recorded at the client's time"},
		"Fidelity/a batch of 1000 comes back or is refused as invalid":         {"a batch is cut"},
		"Fidelity/a value comes back or is refused as invalid":                 {"values are lost"},
		"Fidelity/an event never changes":                                      {"recording time of each read"},

		"Invalid/streams": {"streams are not validated", "invalid arguments return an untyped error", "an invalid argument names no field", "NUL is not checked", "UTF-8 is not checked"},
		"Invalid/expected versions, including the zero Expected": {"zero Expected means Any", "zero Expected means Exists"},
		"Invalid/batches that are empty or too large":            {"empty batch is accepted", "repeated id is accepted"},
		"Invalid/events":                                  {"headers are not validated", "UTF-8 is not checked", "NUL is not checked", "an invalid append reserves ids"},
		"Invalid/too much data":                           {"too much data is accepted"},
		"Invalid/negative limits":                         {"negative limit is accepted"},
		"Invalid/an invalid stream has no events to read": {"an invalid stream is a failure"},
		"Aliases/the caller can change the events after Append": {
			"the store aliases the caller's data", "the store aliases the caller's headers", "the store aliases a single event", "the store aliases the first event", "the store aliases the second event",
			"the store aliases the last event",
		},
		"Aliases/the caller can change refused events and append them": {"a refusal keeps the batch"},
		"Aliases/Append changes none of its arguments":                 {"arguments filled in", "writes past the end of data"},
		"Aliases/the caller can change a page":                         {"a page aliases the store"},
		"Aliases/a page with ReadOnly has the same events":             {"ReadOnly ignores From"},
		"Aliases/a page in a Buffer has the same events":               {"a buffer keeps its events", "a buffer is not overwritten"},
		"Aliases/the caller can change a page in a Buffer":             {"a page in a buffer aliases the store", "a page aliases the store"},

		"Values/values are those of the events, from any version on": {
			"ReadValues ignores from", "values of events with data are left out", "the last value is left out",
		},
		"Values/a missing stream has no values":                         {"the head of a stream without values is wrong"},
		"Values/values do not change while the stream grows":            {"lent values are overwritten"},
		"Values/values of an invalid stream, and with an ended context": {"values of an invalid stream", "values are returned after the context has ended"},

		"Read/pages of every size cover everything, forward":  {"End is set one page late", "End is set too early", "Next is the last position", "Next is the head", "Head is the end of the page"},
		"Read/pages of every size cover everything, backward": {"backward off by one", "backward from zero is nothing"},
		"Read/a page reports the head, and where it ends":     {"Head is the end of the page", "End is set one page late", "End is set too early"},
		"Read/a missing stream is an empty page":              {"a missing stream is an error", "reads create streams"},
		"Read/reading from beyond the head":                   {"beyond the head means the head"},
		"Read/the zero limit is the default, and large ones are possible": {
			"zero limit means none", "memory is allocated for the limit", "a forward page of the default size has End set", "a backward page of the default size has End set",
		},
		"Read/resuming at the last Next finds exactly the new events":          {"Next is the last position"},
		"Read/events with more bytes than fit into a page are read to the end": {"a page ends at its bytes", "a backward page ends at its bytes"},
		"Read/Events yields the stream from a version on":                      {"beyond the head means the head", "context hidden"},

		"Context/an append with an ended context writes nothing":                                  {"context ignored", "context hidden", "recorded despite an ended context"},
		"Context/a read with an ended context fails with the error of the context":                {"context hidden"},
		"Context/an append whose context ends at any moment is recorded completely or not at all": {"half recorded when the context ends", "success without recording", "errors come one call late"},

		"Context/a large batch whose context ends at any moment is recorded completely or not at all": {"a large batch in two transactions", "half recorded when the context ends"},
		"Log/an empty log": {"an empty log has a head"},
		"Log/positions strictly increase and agree with the versions": {"positions are versions", "an event lost from the log", "an event repeated in the log"},
		"Log/appended events are in the log at once":                  {"the log lags", "head is one too high"},
		"Log/refused events are not in the log":                       {"a refusal is in the log"},
		"Log/an event reads the same in the log and in its stream":    {"the log loses metadata", "an event lost from the log"},
		"Log/pages of every size cover everything, forward":           {"End is set one page late", "End is set too early", "Next is the last position", "Next is the head", "head is the last match"},
		"Log/pages of every size cover everything, backward":          {"backward off by one", "backward from zero is nothing"},
		"Log/reading from beyond the head":                            {"beyond the head means the head"},
		"Log/the zero limit is the default, and large ones are possible": {
			"zero limit means none", "memory is allocated for the limit", "a forward page of the default size has End set", "a backward page of the default size has End set",
		},
		"Log/a negative limit is refused":                            {"negative limit is accepted"},
		"Log/resuming at the last Next finds exactly the new events": {"Next is the last position", "Next is the head"},
		"Log/a filter selects exactly the matching events": {
			"a prefix is used as a LIKE pattern", "filtered prefixes folded", "event types of a filter are ignored", "a filter matches any field", "no types match nothing",
		},
		"Log/events with more bytes than fit into a page are read to the end":          {"a page ends at its bytes", "a backward page ends at its bytes"},
		"Log/a filter finds few events among many":                                     {"a filter examines only the newest events", "a filter examines only the oldest events"},
		"Log/a filter compares names byte for byte":                                    letters("filtered stream types", "filtered event types", "filtered prefixes"),
		"Log/the caller can change a page":                                             {"a page aliases the store"},
		"Log/a read with an ended context fails with the error of the context":         {"context hidden"},
		"Log/a reader that has seen a position never finds a new event at or below it": {"commits become visible out of order"},
		"Log/the events of one append have consecutive positions":                      {"positions of a batch have gaps", "batches mix in the log"},
		"Log/a reader never sees part of a batch":                                      {"half a batch visible"},

		"Subscribe/yields the log from a position on, and then reports that it has caught up": {"caught up too early", "never caught up", "resumes one event too late"},
		"Subscribe/it catches up with an empty log at once":                                   {"never caught up"},
		"Subscribe/later events arrive one by one":                                            {"a wake-up is lost"},
		"Subscribe/every kind of append wakes it":                                             {"a claiming append wakes nobody", "an update wakes nobody"},
		"Subscribe/from beyond the head, only events from there on arrive":                    {"events before From are yielded"},
		"Subscribe/a filter selects exactly the matching events, replayed and live":           {"live ignores the filter", "a prefix is used as a LIKE pattern"},
		"Subscribe/resuming at any Next yields exactly the rest":                              {"resumes one event too late"},
		"Subscribe/no event is lost, repeated or out of order when the replay ends":           {"an event is lost after the replay", "an event is repeated after the replay", "live events are out of order", "commits become visible out of order"},
		"Subscribe/a slow loop gets everything, and slows down nobody else":                   {"drops events when the loop is slow"},
		"Subscribe/the loop can call the store":                                               {"a lock is held during the loop"},
		"Subscribe/the end of its context ends it, with that error last":                      {"cancel ignored", "the last error is not yielded", "context hidden"},
		"Subscribe/break ends it":                                                             {"break waits for an event"},
		"Subscribe/the caller can change a page":                                              {"subscriptions share pages", "a page aliases the store"},
		"Subscribe/backward and negative limits are refused":                                  {"Subscribe accepts Backward", "negative limit is accepted"},

		"Tenants/the same id returns the same tenant":             {"a tenant is new each time"},
		"Tenants/the store that was opened is the default tenant": {"the default tenant is a different one"},
		"Tenants/streams with the same name are separate":         {"tenants share streams"},
		"Tenants/conflicts reveal nothing about another tenant":   {"tenants share streams"},
		"Tenants/event ids are separate":                          {"tenants share ids"},
		"Tenants/writers of two tenants never conflict":           {"tenants share ids", "tenants share streams"},
		"Tenants/logs are separate":                               {"tenants share the log", "Head counts all tenants"},
		"Tenants/subscriptions are separate":                      {"tenants share the log"},
		"Tenants/snapshots are separate":                          {"tenants share snapshots"},
		"Tenants/checkpoints are separate":                        {"tenants share checkpoints"},
		"Tenants/claims are separate":                             {"tenants share claims"},
		"Tenants/leases are separate":                             {"tenants share leases"},
		"Tenants/tenants are kept apart, byte for byte":           letters("tenants"),
		"Tenants/invalid ids are refused":                         {"tenants are not validated"},

		"Snapshots/a missing snapshot is not found":                   {"a missing snapshot is an error"},
		"Snapshots/a load returns the saved bytes":                    {"snapshots are truncated"},
		"Snapshots/the newest snapshot wins":                          {"an older snapshot wins", "the first snapshot stays"},
		"Snapshots/streams and schemas are kept apart, byte for byte": append(letters("snapshot stream types", "snapshot stream ids", "snapshot schemas"), "snapshots of all schemas are one"),
		"Snapshots/snapshots are never in the streams":                {"snapshots in the stream"},
		"Snapshots/invalid arguments are refused":                     {"snapshots are not validated"},
		"Snapshots/the caller can change saved and loaded data":       {"the store aliases a saved snapshot", "a loaded snapshot aliases the store"},
		"Snapshots/the newest of several concurrent saves wins":       {"snapshot checked before the lock"},
		"Snapshots/nothing is saved with an ended context":            {"context ignored"},
		"Checkpoints/a new consumer has the zero checkpoint":          {"a missing checkpoint is an error"},
		"Checkpoints/a load returns the saved bytes":                  {"checkpoint id trimmed"},
		"Checkpoints/a save from another checkpoint is a conflict and changes nothing": {
			"checkpoint saved without comparing", "checkpoints compared by position only", "checkpoint conflict untyped",
		},
		"Checkpoints/it moves forward, to itself or to zero, with a valid name": {"checkpoint is not validated"},
		"Checkpoints/a save to the same checkpoint changes nothing":             {"a save to the same checkpoint is refused", "a save to the same checkpoint checks nothing", "a save to the same checkpoint moves it"},
		"Checkpoints/a save to zero resets it":                                  {"a reset is refused", "a reset checks nothing", "a reset keeps the checkpoint"},
		"Checkpoints/names are kept apart, byte for byte":                       letters("checkpoint names"),
		"Checkpoints/they are listed in the byte order of their names": {
			"reset checkpoints are listed", "lists exclude from", "lists are unsorted", "zero limit lists nothing", "lists ignore their limit",
			"lists have no event ids", "checkpoint is not validated", "context ignored", "tenants share checkpoints",
		},
		"Checkpoints/exactly one of several concurrent saves wins each step": {"checkpoint checked before the lock"},
		"Checkpoints/nothing is saved with an ended context":                 {"context ignored"},

		"Claims/a claimed key has a holder, and a free key has none":                           {"claims are lost", "a free key is an error"},
		"Claims/the append is like one without claims":                                         {"a claiming append drops all events but one", "a claiming append returns no position"},
		"Claims/a refused claim leaves no event and no other claim":                            {"a refused claim is recorded", "claims made one by one", "a claim error reports the wrong holder", "a claim error reports the wrong key", "untyped claim error", "a refusal leaves a stream", "a refusal reserves ids"},
		"Claims/a refused append leaves no claim":                                              {"a claiming append ignores the expected version", "a conflict keeps the claims", "a duplicate keeps the claims", "an invalid append keeps the claims"},
		"Claims/only the holder can take its key again":                                        {"a holder cannot take its key again", "keys taken from others", "streams with the same id are one holder"},
		"Claims/a released key can be taken":                                                   {"keys are never released", "releasing a free key is refused", "all keys are released"},
		"Claims/only the holder can release a key":                                             {"anybody can release"},
		"Claims/a repeated append is replayed, whoever holds the keys":                         {"claims checked first", "a replay claims again", "a replay is refused"},
		"Claims/a duplicate and a conflict are reported before a claim":                        {"claims checked first", "claims checked before the version"},
		"Claims/keys are kept apart, byte for byte":                                            letters("claim keys"),
		"Claims/the maximum number of claims":                                                  {"claims are truncated"},
		"Claims/invalid claims are refused":                                                    {"claims are not validated", "too many claims are accepted", "repeated key is accepted", "holder does not check its key"},
		"Claims/exactly one of 8 concurrent claimers wins":                                     {"claims checked before the lock", "keys taken from others", "a claim error reports the wrong holder"},
		"Claims/two streams never hold a key at the same time":                                 {"claims checked before the lock"},
		"Claims/events and claims become visible together":                                     {"claims made after the append", "claims made before the append"},
		"Claims/nothing is claimed with an ended context":                                      {"claimed despite an ended context", "context ignored", "context hidden"},
		"Claims/an append whose context ends at any moment makes events and claims or neither": {"claims made after the append", "claims made before the append"},

		"Leases/the result describes the granted lease":                   {"a lease has no owner", "fences begin at 0", "Until is now"},
		"Leases/only one owner holds it":                                  {"everybody gets the lease", "untyped lease error", "a held lease reports no time", "a refusal extends the lease"},
		"Leases/its owner can extend it, and the fence stays the same":    {"a lease cannot be extended", "extending raises the fence", "extending does not extend"},
		"Leases/it expires":                                               {"leases never expire"},
		"Leases/its owner can make it shorter":                            {"extending never shortens"},
		"Leases/an expired lease is granted anew, even to the same owner": {"an expired owner keeps its fence"},
		"Leases/a released lease is free at once":                         {"release ignored", "a release resets the fence"},
		"Leases/the fence increases with every handover":                  {"fences restart", "a release resets the fence", "fences never increase"},
		"Leases/only its holder can release it":                           {"release ignores the owner", "release ignores the fence", "a stale release is an error"},
		"Leases/a former holder that wakes up late releases nothing":      {"release ignores the fence"},
		"Leases/names and owners are kept apart, byte for byte":           letters("lease names", "lease owners"),
		"Leases/invalid arguments are refused":                            append(unchecked("acquire", "name", "owner", "ttl"), append(unchecked("release", "name", "owner"), "leases are not validated")...),
		"Leases/one of several concurrent owners holds it at a time":      {"lease checked before the lock", "fences never increase"},
		"Leases/one of several concurrent owners gets an expired lease":   {"lease checked before the lock", "an expired lease goes to everybody"},
		"Leases/nothing is granted or released with an ended context":     {"context ignored", "context hidden", "granted despite an ended context", "released despite an ended context"},

		"Resume/continues right after the checkpoint":                            {"the log begins one event too late", "the log returns numbers as event ids"},
		"Resume/a log that was restored from before the checkpoint has diverged": {"beyond the head is an error", "the log returns numbers as event ids"},
		"Resume/a log of other events has diverged":                              {"the log returns numbers as event ids", "head is the last match"},
		"Resume/a log that cannot be read has not diverged":                      {"context hidden"},

		"Model/random histories get the same results as from a simple model": {
			"NoStream is not checked", "too high versions are accepted", "a batch in the wrong order", "a replay is refused", "only the first id is compared", "event ids are not checked", "different data is the same event",
			"tenants share streams", "tenants share ids", "tenants share the log", "End is set too early", "backward off by one", "a prefix is used as a LIKE pattern", "zero Expected means Any",
			"claims are lost", "a conflict keeps the claims",
		},
		"Reopened/every event is unchanged":                                     {"the last event is not kept", "times are the file's time"},
		"Reopened/versions continue":                                            {"the last event is not kept", "versions restart"},
		"Reopened/event ids are still known":                                    {"ids are not kept"},
		"Reopened log/every event has its position, and positions continue":     {"the last event is not kept", "positions restart"},
		"Reopened log/a consumer continues after its checkpoint":                {"the last event is not kept", "events get new ids"},
		"Reopened tenants/each tenant has its data":                             {"only one tenant is kept", "the last tenant is not kept"},
		"Reopened snapshots/they are unchanged":                                 {"only events are kept"},
		"Reopened checkpoints/they are unchanged":                               {"only events are kept"},
		"Reopened claims/a held key has its holder, and a released key is free": {"only events are kept", "released keys are kept"},
		"Reopened leases/a lease has its owner, and the fence continues":        {"only events are kept"},

		"Close/can be called again, even concurrently":              {"Close works only once", "Close works only four times"},
		"Close/every later call returns ErrClosed":                  {"Close does nothing", "closed untyped"},
		"Close/subscriptions end with ErrClosed":                    {"subscriptions survive Close"},
		"Close/concurrent appends are recorded or return ErrClosed": {"closed untyped"},
	}
}

// opens returns the function that opens stores for a clause: a new store each time, or
// the same store again if the clause is about reopening.
func opens(clause, bug string) func() store.Store {
	if !strings.HasPrefix(clause, "Reopened") {
		return func() store.Store { return newPlain(bug) }
	}
	var p *plain
	return func() store.Store {
		if p == nil {
			p = newPlain(bug)
		} else {
			p.reopen()
		}
		return p
	}
}

// TestBugs plants each bug and checks that the clauses that must find it fail with a
// message.
func TestBugs(t *testing.T) {
	t.Parallel()
	for clause, bugs := range bugs() {
		for _, bug := range bugs {
			t.Run(clause+"/finds "+bug, func(t *testing.T) {
				t.Parallel()
				got := record(clause, opens(clause, bug), time.Second)
				for n := 1; n < 5 && !got.Failed() && testing.Short() && strings.HasPrefix(clause, "Model/"); n++ {
					got = record(clause, opens(clause, bug), time.Second) // -short makes a fifth of the histories
				}
				if !got.Failed() || got.said() == "" {
					t.Errorf("the clause did not find the bug; it said %q", got.said())
				}
				t.Log(got.said())
			})
		}
	}
}

// TestEveryClauseFindsABug makes sure that the suite has no clause that cannot fail.
func TestEveryClauseFindsABug(t *testing.T) {
	t.Parallel()
	bugs := bugs()
	clauses := storetest.Clauses()
	for _, clause := range clauses {
		if len(bugs[clause]) == 0 {
			t.Errorf("no bug is planted for clause %q", clause)
		}
	}
	for clause := range bugs {
		if !slices.Contains(clauses, clause) {
			t.Errorf("there is no clause %q", clause)
		}
	}
}
