package runnertest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/runner/runnertest"
	"github.com/evolvego/evolve/store"
)

// planted names a bug and the part of the suite that must notice it.
type planted struct {
	bug  bug
	part string
}

func plants() []planted {
	return []planted{
		{"begins a stream at any version", "a stream is created once"},
		{"appends what it decided first", "after a conflict the command is decided again on the fresh state"},
		{"appends at any version", "after a conflict the command is decided again on the fresh state"},
		{"forgets a command that conflicted", "a conflict loses no write"},
		{"reads everything again after a conflict", "a conflict reads only the tail"},
		{"tries at most twice", "every client succeeds"},
		{"never gives up", "attempts are bounded"},
		{"counts the attempts of earlier calls", "each call has its own attempts"},
		{"trusts any snapshot", "a snapshot beyond the stream is ignored"},
		{"does not wait", "the second attempt follows at once and later ones wait"},
		{"waits before the second attempt", "the second attempt follows at once and later ones wait"},
		{"retries an expected version", "a conflict with an expected version is final"},
		{"ignores the expected version", "a command is decided only on the expected version"},
		{"retries a rejection", "a rejection is final"},
		{"hides the rejection", "a rejection is final"},
		{"appends nothing", "without events nothing is appended"},
		{"encodes while it appends", "an event that cannot be encoded is not appended"},
		{"treats a failed read as the end", "a read that fails appends nothing"},
		{"treats a failed load as an empty stream", "a load that fails is not an empty aggregate"},
		{"treats a failed read as the end", "a load that fails is not an empty aggregate"},
		{"reads no more than three events", "a stream of many pages is loaded whole"},
		{"ignores the case of command ids", "command ids are compared byte by byte"},
		{"cuts command ids", "command ids are compared byte by byte"},
		{"trims command ids", "command ids are compared byte by byte"},
		{"concatenates ids", "command ids are compared byte by byte"},
		{"lets callers share what they load", "callers of one batch share nothing"},
		{"trusts its cache", "appends of others are seen"},
		{"rejects because of its cache", "an old state refuses no command"},
		{"does nothing because of its cache", "an old state refuses no command"},
		{"cannot encode because of its cache", "an old state refuses no command"},
		{"cannot store because of its cache", "an old state refuses no command"},
		{"panics because of its cache", "an old state refuses no command"},
		{"remembers command ids in the process", "a command id is recorded once"},
		{"leaves repeated commands to the store", "a command id is recorded once although it would be rejected now"},
		{"leaves repeated commands to the store", "a command id is recorded once although it would decide something else now"},
		{"looks for its ids only after the snapshot", "a command id is recorded once although it would be rejected now"},
		{"leaves the stream out of the event ids", "a command id belongs to its stream"},
		{"treats equal commands as one", "calls without a command id are different commands"},
		{"new ids for each attempt", "a lost answer is looked up"},
		{"new ids for each attempt on an old stream", "a lost answer is looked up"},
		{"gives up when the outcome is unknown", "a lost answer is looked up"},
		{"new ids for each attempt", "a lost answer is looked up although the command would be rejected now"},
		{"treats an unknown outcome as done", "an append that did not happen is sent again"},
		{"returns no error when it gives up", "a store that stays down is an error"},
		{"new ids for each attempt", "a late append counts once"},
		{"appends at any version", "a late append does not follow a rejection"},
		{"continues after the context has ended", "the end of the context ends the call"},
		{"reads without the context after a conflict", "the end of the context ends the call"},
		{"hides the error of the context", "the end of the context ends the call"},
		{"waits although the context has ended", "the end of the context ends a pause"},
		{"loads once for all, on the context of the first", "an abandoned call harms no other"},
		{"returns its cached state", "a caller owns what it gets"},
		{"folds after the append", "a panic in a user function fails one call"},
		{"clones after the append", "a panic in a user function fails one call"},
		{"lets an observer end the call", "a panic in a user function fails one call"},
		{"treats a panic as done", "a panic in a user function fails one call"},
		{"stays locked after a panic", "a panic in a user function fails one call"},
		{"loads once for all, on the context of the first", "a panic in a user function fails one call"},
		{"caches before it folds", "a panic in a user function fails one call"},
		{"folds after the append", "an event that cannot be read is not recorded"},
		{"does not read back what it writes", "an event that cannot be read is not recorded"},
		{"treats a panic as done", "an event that cannot be read is not recorded"},
		{"stays locked after a panic", "an event that cannot be read is not recorded"},
		{"calls claims after the append", "a command whose claims panic is not recorded"},
		{"treats a panic of claims as no claims", "a command whose claims panic is not recorded"},
		{"stays locked after a panic", "a command whose claims panic is not recorded"},
		{"calls claims after the append", "a panic in a user function fails one call"},
		{"claims nothing after a conflict", "claims are taken with the events"},
		{"claims nothing after a lost append", "claims are taken with the events"},
		{"retries when a key is taken", "claims are taken with the events"},
		{"sends again when a key is taken", "claims are taken with the events"},
		{"appends at any version", "a late append counts once"},
		{"tries at most twice", "the second attempt follows at once and later ones wait"},
		{"appends at any version", "a conflict with an expected version is final"},
		{"hides the error of the context", "the end of the context ends a pause"},
		{"treats an unknown outcome as done", "a late append counts once"},
		{"returns the head with the state of its own append", "a late append counts once"},
		{"overlooks its events if others follow", "a lost answer is looked up although the command would be rejected now"},
		{"retries an expected version", "simulations"},
		{"tries at most twice", "simulations"},
		{"returns the previous state", "a command id is recorded once"},
		{"begins a stream at any version", "schedules: two open the account"},
		{"appends what it decided first", "schedules: two withdraw what is enough for one"},
		{"new ids for each attempt", "schedules: two withdraw what is enough for one"},
		{"loads once for all, on the context of the first", "schedules: two withdraw in one process"},
		{"leaves repeated commands to the store", "schedules: two send the same command"},
		{"looks for its ids only after the snapshot", "schedules: two send the same command"},
		{"rejects a command that it could not look up", "schedules: two send the same command"},
		{"remembers rejections", "schedules: a command comes too early, and again"},
		{"forgets a command that conflicted", "schedules: three race"},
		{"treats an unknown outcome as done", "schedules: one is alone"},
		{"new ids for each attempt", "schedules: one is alone"},
		{"new ids for each attempt", "simulations"},
		{"appends what it decided first", "simulations"},
		{"treats an unknown outcome as done", "simulations"},
		{"forgets a command that conflicted", "simulations"},
		{"trusts its cache", "simulations"},
		{"returns the previous state", "simulations"},
		{"begins a stream at any version", "simulations"},
		{"leaves repeated commands to the store", "simulations"},
		{"looks for its ids only after the snapshot", "simulations"},
		{"ignores the expected version", "simulations"},
		{"returns no error when it gives up", "simulations"},
		{"treats a failed read as the end", "simulations"},
		{"returns its cached state", "simulations"},
		{"appends the first event that it decided first", "a stream is created once"},
		{"encodes only what it decides first", "after a conflict the command is decided again on the fresh state"},
		{"returns the events that it decided first", "after a conflict the command is decided again on the fresh state"},
		{"appends what it decided second", "after a conflict the command is decided again on the fresh state"},
		{"caches what it foresaw first", "a conflict loses no write"},
		{"saves what it foresaw first", "a conflict loses no write"},
		{"compares the version after the append", "attempts are bounded"},
		{"compares the version after the append", "a conflict with an expected version is final"},
		{"ignores the initial state", "a stream of many pages is loaded whole"},
		{"ignores the initial state", "simulations"},
		{"returns its cached state when it loads", "a caller owns what it gets"},
		{"appends what it decided first", "a late append counts once"},
		{"treats an unknown outcome as nothing to do", "a late append counts once"},
		{"stays locked when the initial state panics", "a panic in a user function fails one call"},
		{"loads no more than three events", "a stream of many pages is loaded whole"},
		{"trusts any snapshot when it loads", "a snapshot beyond the stream is ignored"},
		{"trusts any snapshot when it handles", "a snapshot beyond the stream is ignored"},
		{"lets callers share what they load together", "callers of one batch share nothing"},
		{"appends what it decided first", "an append that did not happen is sent again"},
		{"passes on only the deadline", "the end of the context ends the call"},
		{"passes on only a cancellation", "the end of the context ends the call"},
		{"overlooks its own command that another writer follows", "a command id is recorded once"},
		{"overlooks its own command that is ten calls old", "a command id is recorded once"},
		{"overlooks another's command that is five events old", "a command id is recorded once"},
		{"overlooks its own command that expects another version", "a command id is recorded once"},
		{"overlooks another's command that expects another version", "a command id is recorded once"},
		{"caches a command with an id at the version before it", "a command id is recorded once"},
		{"overlooks its own command that would be rejected", "a command id is recorded once although it would be rejected now"},
		{"overlooks another's command that would be rejected", "a command id is recorded once although it would be rejected now"},
		{"overlooks its own command that would decide less", "a command id is recorded once although it would decide something else now"},
		{"overlooks another's command that would decide less", "a command id is recorded once although it would decide something else now"},
		{"overlooks its own command that would decide nothing", "a command id is recorded once although it would decide something else now"},
		{"overlooks another's command that would decide nothing", "a command id is recorded once although it would decide something else now"},
		{"a panic fails all callers that wait", "a panic in a user function fails one call"},
		{"a panic fails all callers that wait", "an event that cannot be read is not recorded"},
		{"a panic fails all callers that wait", "a command whose claims panic is not recorded"},
		{"claims nothing once claims have panicked", "a command whose claims panic is not recorded"},
		{"does nothing because of its cache", "appends of others are seen"},
		{"folds later what it returned", "a caller owns what it gets"},
		{"reads only one page", "a stream of many pages is loaded whole"},
		{"treats a failed page as the end", "a load that fails is not an empty aggregate"},
		{"overlooks its late events at the head of the stream", "a late append counts once"},
		{"overlooks its late events if others follow", "a late append counts once"},
		{"replays the initial state", "a command id is recorded once"},
		{"replays the initial state", "simulations"},
		{"decides by itself", "a panic in a user function fails one call"},
		{"folds in place after the append", "a panic in a user function fails one call"},
		{"treats a panic after a conflict as done, one call at a time", "a panic in a user function fails one call"},
	}
}

// lies returns bugs of a [liar], each with the part that must notice it.
func lies() []planted {
	return []planted{
		{"treats a rejection as a conflict", "a stream is created once"},
		{"returns the previous version", "a conflict loses no write"},
		{"returns no events", "a conflict loses no write"},
		{"reports a replay for a new command", "a conflict loses no write"},
		{"repeats each append that succeeds", "a conflict reads only the tail"},
		{"appends after it has given up", "attempts are bounded"},
		{"tries once too often", "attempts are bounded"},
		{"appends after it has given up", "a conflict with an expected version is final"},
		{"returns the previous version", "a command is decided only on the expected version"},
		{"appends twice what expects version 3", "a command is decided only on the expected version"},
		{"appends after the call has ended", "the end of the context ends the call"},
		{"returns the next version without events", "without events nothing is appended"},
		{"returns an event without events", "without events nothing is appended"},
		{"reports a replay for a new command", "without events nothing is appended"},
		{"appends in spite of a failure", "a read that fails appends nothing"},
		{"hides the error of the store", "a read that fails appends nothing"},
		{"hides the error of the store", "a load that fails is not an empty aggregate"},
		{"returns the previous version", "a stream of many pages is loaded whole"},
		{"returns one page of its own replay", "a stream of many pages is loaded whole"},
		{"returns one page of another's replay", "a stream of many pages is loaded whole"},
		{"returns another balance", "a stream of many pages is loaded whole"},
		{"returns an account that is not open", "a stream of many pages is loaded whole"},
		{"returns the previous version", "appends of others are seen"},
		{"cannot load", "a caller owns what it gets"},
		{"changes what it has returned", "a caller owns what it gets"},
		{"changes what it has loaded", "a caller owns what it gets"},
		{"repeats everything later", "a panic in a user function fails one call"},
		{"does not report a replay", "a command id is recorded once"},
		{"returns other events for a replay", "a command id is recorded once"},
		{"ignores command ids", "a command id is recorded once"},
		{"reports a replay for a new command", "a command id is recorded once"},
		{"hides a replay", "a lost answer is looked up"},
		{"returns the previous version", "an append that did not happen is sent again"},
		{"repeats each append that fails", "a store that stays down is an error"},
		{"fails to close", "a stream is created once"},
		{"fails after an abandoned call", "an abandoned call harms no other"},
		{"returns another error when the context ends", "an abandoned call harms no other"},
		{"returns a conflict for events that it appended", "simulations"},
		{"tries once too often", "simulations"},
		{"fails now and then", "simulations"},
		{"fails the third call", "an event that cannot be read is not recorded"},
		{"returns another event for a command that is repeated at once", "a command id is recorded once"},
		{"returns late when the context ends", "the end of the context ends the call"},
		{"cannot load after an error", "an event that cannot be read is not recorded"},
		{"appends twice what expects version 1", "a command id is recorded once"},
		{"returns other events for a new command", "simulations"},
		{"returns an error for events that it appended", "simulations"},
		{"returns an error for events that it appended", "an old state refuses no command"},
		{"treats a rejection as a conflict", "appends of others are seen"},
		{"rejects what it then does", "simulations"},
		{"remembers the events that it returned", "simulations"},
		{"cannot load", "a rejection is final"},
		{"cannot load after an error", "an event that cannot be encoded is not appended"},
		{"cannot load after an error", "a rejection is final"},
		{"returns no events", "an append that did not happen is sent again"},
		{"repeats everything later", "an abandoned call harms no other"},
		{"cannot load after a failure", "a load that fails is not an empty aggregate"},
		{"repeats each append that fails", "simulations"},
		{"returns the previous version", "simulations"},
		{"returns other events for a replay", "simulations"},
		{"repeats everything later", "simulations"},
		{"returns the next version", "a stream is created once"},
		{"appends what it replays", "a command id is recorded once although it would decide something else now"},
		{"returns a cancellation for a failure", "simulations"},
		{"appends what it rejects", "after a conflict the command is decided again on the fresh state"},
		{"appends what it rejects", "a rejection is final"},
		{"appends what it rejects", "appends of others are seen"},
		{"appends what it rejects", "a command id is recorded once although it would be rejected now"},
		{"appends what it rejects", "an append that did not happen is sent again"},
		{"sends empty appends", "without events nothing is appended"},
		{"sends empty appends", "an event that cannot be encoded is not appended"},
		{"appends in spite of a failure", "a store that stays down is an error"},
		{"cannot load", "a read that fails appends nothing"},
		{"cannot load", "appends of others are seen"},
		{"cannot load", "an old state refuses no command"},
		{"cannot load", "a lost answer is looked up"},
		{"cannot load", "a late append counts once"},
		{"loads what it loaded before", "a stream of many pages is loaded whole"},
		{"cannot load after an error", "an abandoned call harms no other"},
		{"does the work although the context has ended", "the end of the context ends the call"},
		{"appends when its context has ended", "the end of the context ends a pause"},
	}
}

// TestReference checks that the suite finds nothing wrong with the reference.
func TestReference(t *testing.T) {
	t.Parallel()
	for _, caches := range []bool{false, true} {
		for _, snapshots := range []bool{false, true} {
			t.Run(fmt.Sprintf("cache %v, snapshots %v", caches, snapshots), func(t *testing.T) {
				t.Parallel()
				runnertest.Run(t, openReference("", caches, snapshots))
			})
		}
	}
}

// TestPlanted checks that each part of the suite can fail, by the bugs that it is for.
func TestPlanted(t *testing.T) {
	t.Parallel()
	all := append(plants(), lies()...)
	for i, p := range all {
		t.Run(string(p.bug)+": "+p.part, func(t *testing.T) {
			t.Parallel()
			open := openReference(p.bug, true, true)
			if i >= len(plants()) {
				open = openLiar(p.bug)
			}
			failures := runnertest.Failures(t, p.part, open, 2000)
			if len(failures) == 0 {
				t.Errorf("%q does not notice the bug", p.part)
				return
			}
			if _, schedule, ok := strings.Cut(failures[0], "\n   1  "); ok && strings.Count(schedule, "\n") >= 10 {
				t.Errorf("the schedule is longer than 10 lines: %s", failures[0])
			}
			t.Logf("%s", failures[0])
		})
	}
}

// poor is the reference without hooks and claims.
type poor struct{ runnertest.System }

// TestVariants checks that the suite finds nothing wrong with runners that do without what
// they need not have, or do more than they must.
func TestVariants(t *testing.T) {
	t.Parallel()
	openPoor := func(d account, st store.Store, c codecOfEvents) runnertest.System {
		return poor{openReference("", true, true)(d, st, c)}
	}
	for part, open := range map[string]runnertest.Open{
		"claims are taken with the events":             openPoor,
		"a command whose claims panic is not recorded": openPoor,
		"a panic in a user function fails one call":    openPoor,
		"a read that fails appends nothing":            openReference("reads again after a failure, which is no bug", false, false),
		"a load that fails is not an empty aggregate":  openReference("reads again after a failure, which is no bug", false, false),
		"a command id is recorded once":                openLiar("returns no events for a replay, which is no bug"),
		"simulations":                                  openLiar("returns no events for a replay, which is no bug"),
	} {
		for _, failure := range runnertest.Failures(t, part, open, 100) {
			t.Errorf("%s: %s", part, failure)
		}
	}
}

func TestEveryPartIsNeeded(t *testing.T) {
	t.Parallel()
	for _, name := range runnertest.Parts() {
		if !slices.ContainsFunc(plants(), func(p planted) bool { return p.part == name }) {
			t.Errorf("no bug is planted for %q", name)
		}
	}
}
