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

// bugs are those that each clause must find, when the plain store has them.
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

// storeBugs are those that the other clauses must find.
func storeBugs() map[string][]string {
	return map[string][]string{
		"Append/versions are 1 to n without a gap": {
			"versions begin at 0", "versions have gaps", "recorded at no time",
		},
		"Append/tells the version and position of the last event": {"tells the first version", "tells no position", "tells a replay"},
		"Append/a batch keeps its order":                          {"a batch swapped"},
		"Append/NoStream creates a stream once":                   {"create unchecked", "a conflict says what was expected"},
		"Append/Exactly accepts one version, and a refusal leaves no hole": {
			"versions too high accepted", "versions too low accepted", "a refusal leaves a hole", "a conflict says another expectation",
			"a conflict says one too much", "untyped conflict",
		},
		"Append/Exactly a version of a missing stream does not create it": {"exactly creates", "a refusal leaves a stream"},
		"Append/Exists accepts what exists and creates nothing":           {"exists creates"},
		"Append/Any accepts everything":                                   {"any is no stream"},
		"Append/a refused batch leaves nothing and reserves no id":        {"a refusal leaves a stream", "a refusal reserves ids"},
		"Append/streams are kept apart":                                   {"streams put together", "stream types folded"},
		"Append/streams are kept apart, byte for byte":                    letters("stream types", "stream ids"),

		"Contention/exactly one of 8 concurrent creates wins":                            {"version checked before", "create unchecked"},
		"Contention/200 concurrent increments all survive":                               {"version checked before", "untyped conflict when busy"},
		"Contention/every refusal is a conflict with the actual version":                 {"version checked before", "untyped when busy", "a conflict when busy", "a conflict says one too much"},
		"Contention/appends to different streams never conflict":                         {"a conflict when busy", "untyped when busy"},
		"Contention/appends that expect Any never conflict, and their batches never mix": {"a conflict when busy", "half a batch seen"},
		"Contention/a reader never sees part of a batch":                                 {"half a batch seen", "a torn page"},
		"Contention/a reader never sees part of a large batch":                           {"a large batch in two transactions"},
		"Contention/no read is older than what its caller knew":                          {"stale reads"},

		"Ids/the same batch is replayed when it is sent again, whatever it expects": {
			"replay refused", "a replay must match", "a replay not told", "a replay tells the head", "a replay records again", "ids unchecked",
		},
		"Ids/events of several appends are replayed when they stand one after the other": {"only whole batches are replayed"},
		"Ids/a replay ignores metadata and time, and keeps the first":                    {"other with other metadata"},
		"Ids/a taken id is a duplicate, and nothing is written": {
			"first id decides", "the same with other data", "the same with another type", "a duplicate says the wrong stream",
			"a duplicate says the last id", "untyped duplicate", "a duplicate is a conflict", "ids unchecked", "ids taken in the stream only",
		},
		"Ids/a taken id is reported before a conflict":      {"conflict before duplicate"},
		"Ids/a duplicate reserves no other id of its batch": {"a duplicate reserves ids"},
		"Ids/ids are compared byte for byte":                letters("event ids"),
		"Ids/ids are taken wherever they are in a large batch": {
			"ids beyond the 100th are not looked up", "ids beyond the 100th are free", "only the first 100 are compared", "a replay not told",
		},
		"Ids/exactly one of several concurrent appends of a batch records it":           {"ids checked before"},
		"Ids/exactly one of several streams gets an id that is appended to all at once": {"ids checked before", "ids taken in the stream only"},

		"Fidelity/data comes back byte for byte":                               {"data as text", "data trimmed"},
		"Fidelity/1 MiB of data comes back":                                    {"data cut"},
		"Fidelity/names come back byte for byte":                               {"types trimmed", "stream ids trimmed", "stream types folded", "event ids folded"},
		"Fidelity/metadata comes back byte for byte":                           {"empty headers lost", "header keys folded"},
		"Fidelity/metadata comes back up to its limit":                         {"metadata cut"},
		"Fidelity/every schema number comes back":                              {"schema of 16 bits"},
		"Fidelity/an empty content type is stored as application octet-stream": {"empty content type kept"},
		"Fidelity/times come back to the millisecond":                          {"times to the second", "time zone lost"},
		"Fidelity/the zero time is stored as the time of recording":            {"zero time kept"},
		"Fidelity/the time of recording is about now":                          {"recorded at the client's time"},
		"Fidelity/a batch of 1000 comes back, or is refused as invalid":        {"a batch cut"},
		"Fidelity/a value comes back, or is refused as invalid":                {"value lost"},
		"Fidelity/an event never changes":                                      {"recorded at each read"},

		"Invalid/streams": {"streams unchecked", "invalid untyped", "invalid names no field", "NUL unchecked", "UTF-8 unchecked"},
		"Invalid/expected versions, the zero one too": {"zero expected is any"},
		"Invalid/batches that are empty or too many":  {"empty batch accepted", "an id twice accepted"},
		"Invalid/events":                                  {"headers unchecked", "UTF-8 unchecked", "NUL unchecked", "invalid reserves ids"},
		"Invalid/too much data":                           {"much data accepted"},
		"Invalid/negative limits":                         {"negative limit accepted"},
		"Invalid/an invalid stream has no events to read": {"an invalid stream is a failure"},
		"Aliases/the caller can change the events after Append": {
			"data aliased in", "headers aliased in", "a single event aliased in", "the first event aliased in", "the second event aliased in",
			"the last event aliased in",
		},
		"Aliases/the caller can change refused events and append them": {"a refusal keeps the batch"},
		"Aliases/Append changes none of its arguments":                 {"arguments filled in", "writes behind data"},
		"Aliases/the caller can change a page":                         {"aliased out"},
		"Aliases/a page with ReadOnly is the same":                     {"read only ignores from"},

		"Read/pages of every size make the whole, forward":  {"end late", "end lies", "next is the last", "next is the head", "head of the page"},
		"Read/pages of every size make the whole, backward": {"backward off by one", "backward from zero is nothing"},
		"Read/a page tells the head, and where it ends":     {"head of the page", "end late", "end lies"},
		"Read/a missing stream is an empty page":            {"missing is an error", "read creates"},
		"Read/from beyond the head":                         {"beyond is the head"},
		"Read/the zero limit is the default, and large ones are possible": {
			"zero limit is none", "limits allocated", "a default page ends forward", "a default page ends backward",
		},
		"Read/going on from the last Next finds exactly what is new":         {"next is the last"},
		"Read/events of more bytes than a page can have are read to the end": {"a page ends at its bytes", "a backward page ends at its bytes"},
		"Read/Events yields the stream from a version on":                    {"beyond is the head", "context hidden"},

		"Context/an append under a context that has ended writes nothing":            {"context ignored", "context hidden", "ended is recorded"},
		"Context/a read under a context that has ended fails with what ended it":     {"context hidden"},
		"Context/an append that ends at any moment is recorded wholly or not at all": {"ended half way", "success without recording", "late error"},

		"Context/a large batch that ends at any moment is recorded wholly or not at all": {"a large batch in two transactions", "ended half way"},
		"Log/an empty log": {"an empty log has a head"},
		"Log/positions strictly increase and agree with the versions": {"positions of the stream", "an event lost from the log", "an event repeated in the log"},
		"Log/what was appended is in the log at once":                 {"the log lags", "head is the next"},
		"Log/what was refused is not in the log":                      {"a refusal is in the log"},
		"Log/an event reads the same in the log and in its stream":    {"the log forgets metadata", "an event lost from the log"},
		"Log/pages of every size make the whole, forward":             {"end late", "end lies", "next is the last", "next is the head", "head of what matched"},
		"Log/pages of every size make the whole, backward":            {"backward off by one", "backward from zero is nothing"},
		"Log/from beyond the head":                                    {"beyond is the head"},
		"Log/the zero limit is the default, and large ones are possible": {
			"zero limit is none", "limits allocated", "a default page ends forward", "a default page ends backward",
		},
		"Log/a negative limit is refused":                           {"negative limit accepted"},
		"Log/going on from the last Next finds exactly what is new": {"next is the last", "next is the head"},
		"Log/a filter chooses exactly what matches": {
			"a prefix like in SQL", "filtered prefixes folded", "event types ignored", "a filter matches any field", "no types match nothing",
		},
		"Log/events of more bytes than a page can have are read to the end":           {"a page ends at its bytes", "a backward page ends at its bytes"},
		"Log/a filter finds few events among many":                                    {"a filter looks at the newest", "a filter looks at the oldest"},
		"Log/a filter tells names apart, byte for byte":                               letters("filtered stream types", "filtered event types", "filtered prefixes"),
		"Log/the caller can change a page":                                            {"aliased out"},
		"Log/a read under a context that has ended fails with what ended it":          {"context hidden"},
		"Log/a reader who has seen a position never finds a new event at or below it": {"late commit"},
		"Log/the events of one append have consecutive positions":                     {"a batch has gaps", "batches mix in the log"},
		"Log/a reader never sees part of a batch":                                     {"half a batch seen"},

		"Subscribe/yields the log from a position on, and then says that it has caught up": {"caught up lies", "never caught up", "resumes one too late"},
		"Subscribe/it catches up with an empty log at once":                                {"never caught up"},
		"Subscribe/later events arrive one by one":                                         {"a wake-up lost"},
		"Subscribe/whatever appends wakes it":                                              {"a claiming append wakes nobody", "an update wakes nobody"},
		"Subscribe/from beyond the head, only events from there on arrive":                 {"what is beyond comes too"},
		"Subscribe/a filter chooses exactly what matches, replayed and live":               {"live ignores the filter", "a prefix like in SQL"},
		"Subscribe/going on from any Next yields exactly the rest":                         {"resumes one too late"},
		"Subscribe/no event is lost, repeated or out of order where replay ends":           {"the seam loses", "the seam repeats", "live out of order", "late commit"},
		"Subscribe/a slow loop gets everything, and slows nobody else":                     {"drops when slow"},
		"Subscribe/the loop can call the store":                                            {"the loop is locked"},
		"Subscribe/the end of its context ends it, and is the last error":                  {"cancel ignored", "the last error is not told", "context hidden"},
		"Subscribe/break ends it":                                                          {"break waits"},
		"Subscribe/the caller can change a page":                                           {"subscriptions share pages", "aliased out"},
		"Subscribe/backward and negative limits are refused":                               {"subscribes backward", "negative limit accepted"},

		"Tenants/the same id is the same tenant":                  {"a tenant is new each time"},
		"Tenants/the store that was opened is the default tenant": {"default tenant is another"},
		"Tenants/streams of one name are apart":                   {"tenants share streams"},
		"Tenants/conflicts tell nothing of another tenant":        {"tenants share streams"},
		"Tenants/event ids are apart":                             {"tenants share ids"},
		"Tenants/writers of two tenants never meet":               {"tenants share ids", "tenants share streams"},
		"Tenants/logs are apart":                                  {"tenants share the log", "head of all tenants"},
		"Tenants/subscriptions are apart":                         {"tenants share the log"},
		"Tenants/snapshots are apart":                             {"tenants share snapshots"},
		"Tenants/checkpoints are apart":                           {"tenants share checkpoints"},
		"Tenants/claims are apart":                                {"tenants share claims"},
		"Tenants/leases are apart":                                {"tenants share leases"},
		"Tenants/tenants are kept apart, byte for byte":           letters("tenants"),
		"Tenants/invalid ids are refused":                         {"tenant unchecked"},

		"Snapshots/a missing snapshot is not found":                   {"a missing snapshot is an error"},
		"Snapshots/what was saved is loaded, byte for byte":           {"snapshot cut"},
		"Snapshots/the newest one stays":                              {"an older snapshot wins", "the first snapshot stays"},
		"Snapshots/streams and schemas are kept apart, byte for byte": append(letters("snapshot stream types", "snapshot stream ids", "snapshot schemas"), "snapshots of all schemas are one"),
		"Snapshots/snapshots are never in the streams":                {"snapshots in the stream"},
		"Snapshots/invalid ones are refused":                          {"snapshot unchecked"},
		"Snapshots/what was saved and what was loaded can be changed": {"snapshot aliased in", "snapshot aliased out"},
		"Snapshots/the newest of several concurrent saves stays":      {"snapshot checked before"},
		"Snapshots/under a context that has ended nothing is saved":   {"context ignored"},
		"Checkpoints/a consumer without one has the zero checkpoint":  {"a missing checkpoint is an error"},
		"Checkpoints/what was saved is loaded, byte for byte":         {"checkpoint id trimmed"},
		"Checkpoints/a save from another checkpoint is a conflict and changes nothing": {
			"checkpoint without compare", "checkpoint of a position only", "checkpoint conflict untyped",
		},
		"Checkpoints/it moves forward, or to itself, or to zero, under a valid name": {"checkpoint unchecked"},
		"Checkpoints/a save to the same checkpoint changes nothing":                  {"holding is refused", "holding checks nothing", "holding moves it"},
		"Checkpoints/a save to zero resets it":                                       {"resetting is refused", "resetting checks nothing", "resetting keeps it"},
		"Checkpoints/names are kept apart, byte for byte":                            letters("checkpoint names"),
		"Checkpoints/they are listed in the byte order of their names": {
			"reset checkpoints are listed", "lists begin after from", "lists are in any order", "no limit lists nothing", "lists ignore their limit",
			"lists say no event", "checkpoint unchecked", "context ignored", "tenants share checkpoints",
		},
		"Checkpoints/exactly one of several concurrent saves wins each step": {"checkpoint checked before"},
		"Checkpoints/under a context that has ended nothing is saved":        {"context ignored"},

		"Claims/a claimed key has its holder, and another key has none":              {"claims forgotten", "a free key is an error"},
		"Claims/the append is like any other":                                        {"a claiming append has one event", "a claiming append tells no position"},
		"Claims/a refused claim leaves no event and no other claim":                  {"a refused claim is recorded", "claims made one by one", "a claim says the wrong holder", "a claim says the wrong key", "untyped claim", "a refusal leaves a stream", "a refusal reserves ids"},
		"Claims/a refused append leaves no claim":                                    {"a claiming append expects nothing", "a conflict keeps the claims", "a duplicate keeps the claims", "an invalid append keeps the claims"},
		"Claims/a holder takes its key again, and nobody else does":                  {"a holder cannot take again", "keys taken from others", "streams of one id are one holder"},
		"Claims/a key that was given back can be taken":                              {"keys are never given back", "giving back nothing is refused", "all keys are given back"},
		"Claims/only its holder gives a key back":                                    {"anybody gives back"},
		"Claims/an append is replayed when it is sent again, whoever holds the keys": {"claims looked at first", "a replay claims again", "replay refused"},
		"Claims/a duplicate and a conflict are reported before a claim":              {"claims looked at first", "claims looked at before the version"},
		"Claims/keys are kept apart, byte for byte":                                  letters("claim keys"),
		"Claims/as many claims as are allowed":                                       {"claims cut"},
		"Claims/invalid claims are refused":                                          {"claims unchecked", "many claims accepted", "a key twice accepted", "holder does not check its key"},
		"Claims/exactly one of 8 concurrent claimers wins":                           {"claims checked before", "keys taken from others", "a claim says the wrong holder"},
		"Claims/no two streams ever hold a key at once":                              {"claims checked before"},
		"Claims/events and claims are seen together":                                 {"claims made after", "claims made before"},
		"Claims/under a context that has ended nothing is claimed":                   {"ended is claimed", "context ignored", "context hidden"},
		"Claims/an append whose context ends at any moment makes both or neither":    {"claims made after", "claims made before"},

		"Leases/the answer describes the lease that was granted":                  {"a lease tells no owner", "fences begin at 0", "until is now"},
		"Leases/only one owner has it":                                            {"leases for everybody", "untyped lease", "a held lease says no time", "a refusal makes longer"},
		"Leases/its owner can extend it, and the fence stays":                     {"a lease cannot be extended", "extending raises the fence", "extending does not extend"},
		"Leases/it expires":                                                       {"leases never run out"},
		"Leases/its owner can make it shorter":                                    {"extending only makes longer"},
		"Leases/a lease that has run out is granted anew, even to the same owner": {"an owner that ran out goes on"},
		"Leases/a released lease is free at once":                                 {"release ignored", "release forgets the fence"},
		"Leases/the fence rises over every handover":                              {"fences begin again", "release forgets the fence", "fences stay"},
		"Leases/only its holder can release it":                                   {"release ignores the owner", "release ignores the fence", "a stale release is an error"},
		"Leases/a former holder who wakes up late releases nothing":               {"release ignores the fence"},
		"Leases/names and owners are kept apart, byte for byte":                   letters("lease names", "lease owners"),
		"Leases/invalid ones are refused":                                         append(unchecked("acquire", "name", "owner", "ttl"), append(unchecked("release", "name", "owner"), "leases unchecked")...),
		"Leases/one of several concurrent owners has it at a time":                {"lease checked before", "fences stay"},
		"Leases/one of several concurrent owners gets a lease that has run out":   {"lease checked before", "what ran out is free for all"},
		"Leases/under a context that has ended nothing is granted or released":    {"context ignored", "context hidden", "ended is granted", "ended is released"},

		"Resume/goes on right after the checkpoint":                              {"the log begins one too late", "the log names events by number"},
		"Resume/a log that was restored from before the checkpoint has diverged": {"beyond the head is an error", "the log names events by number"},
		"Resume/a log of other events has diverged":                              {"the log names events by number", "head of what matched"},
		"Resume/a log that cannot be read has not diverged":                      {"context hidden"},

		"Model/random histories are answered as by a plain model": {
			"a claim says the wrong holder", "create unchecked", "versions too high accepted", "a batch swapped", "replay refused", "first id decides", "ids unchecked", "the same with other data",
			"tenants share streams", "tenants share ids", "tenants share the log", "end lies", "backward off by one", "a prefix like in SQL", "zero expected is any",
			"claims forgotten", "a conflict keeps the claims",
		},
		"Reopened/every event is as it was":                                     {"the last event is not kept", "times are those of the file"},
		"Reopened/versions go on":                                               {"the last event is not kept", "versions begin again"},
		"Reopened/event ids are known":                                          {"ids are not kept"},
		"Reopened log/every event is where it was, and positions go on":         {"the last event is not kept", "positions begin again"},
		"Reopened log/a consumer goes on after its checkpoint":                  {"the last event is not kept", "events get new ids"},
		"Reopened tenants/each has what it had":                                 {"one tenant is kept"},
		"Reopened snapshots/they are as they were":                              {"what is beside events is not kept"},
		"Reopened checkpoints/they are as they were":                            {"what is beside events is not kept"},
		"Reopened claims/a held key has its holder, and a released one is free": {"what is beside events is not kept", "released keys are kept"},
		"Reopened leases/a lease has its owner, and the fence goes on":          {"what is beside events is not kept"},

		"Close/can be called again, also at once":                  {"closes once"},
		"Close/every later call is ErrClosed":                      {"close ignored", "closed untyped"},
		"Close/subscriptions end with ErrClosed":                   {"subscriptions outlive close"},
		"Close/appends at the same time are recorded or ErrClosed": {"closed untyped"},
	}
}

// opens returns what opens the store that a clause is checked on: a new one each time, or
// the same again where that is what the clause is about.
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

// TestBugs plants each bug and lets the clauses that must find it look: they
// must fail, and say something.
func TestBugs(t *testing.T) {
	t.Parallel()
	for clause, bugs := range bugs() {
		for _, bug := range bugs {
			t.Run(clause+"/finds "+bug, func(t *testing.T) {
				t.Parallel()
				got := record(clause, opens(clause, bug), time.Second)
				if !got.Failed() || got.said() == "" {
					t.Errorf("the clause did not find the bug; it said %q", got.said())
				}
				t.Log(got.said())
			})
		}
	}
}

// TestEveryClauseFindsABug keeps clauses that cannot fail out of the suite.
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
