package runnertest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/runner/runnertest"
)

// planted says which part of the suite must notice a bug.
type planted struct {
	bug  bug
	part string
}

func plants() []planted {
	return []planted{
		{"begins a stream at any version", "a stream is created once"},
		{"appends what it decided first", "after a conflict the command is decided again on the fresh state"},
		{"appends at any version", "after a conflict the command is decided again on the fresh state"},
		{"forgets what met a conflict", "a conflict loses no write"},
		{"reads all again after a conflict", "a conflict reads the tail only"},
		{"tries at most twice", "everybody gets through"},
		{"never gives up", "attempts are bounded"},
		{"tries as often as somebody did before", "each call has attempts of its own"},
		{"believes any snapshot", "a snapshot beyond the stream is not believed"},
		{"does not wait", "the second attempt follows at once and later ones wait"},
		{"waits before the second attempt", "the second attempt follows at once and later ones wait"},
		{"tries an expected version again", "a conflict with an expected version is final"},
		{"does not look at the expected version", "a command is decided on the expected version only"},
		{"tries a rejection again", "a rejection is final"},
		{"hides the rejection", "a rejection is final"},
		{"appends nothing", "without events nothing is appended"},
		{"encodes while it appends", "what cannot be encoded is not appended"},
		{"takes a failed read for the end", "a read that fails appends nothing"},
		{"takes a failed load for an empty one", "a load that fails is not an empty aggregate"},
		{"takes a failed read for the end", "a load that fails is not an empty aggregate"},
		{"reads no more than three events", "a stream of many pages is loaded whole"},
		{"compares command ids without case", "command ids are compared byte by byte"},
		{"cuts command ids", "command ids are compared byte by byte"},
		{"trims command ids", "command ids are compared byte by byte"},
		{"runs ids together", "command ids are compared byte by byte"},
		{"lets callers share what they load", "callers who are served together share nothing"},
		{"trusts its cache", "the work of others is seen"},
		{"remembers command ids in the process", "a command id lands once"},
		{"leaves repeated commands to the store", "a command id lands once although it would be rejected now"},
		{"leaves repeated commands to the store", "a command id lands once although it would decide something else now"},
		{"looks for its ids behind the snapshot", "a command id lands once although it would be rejected now"},
		{"leaves the stream out of the event ids", "a command id belongs to its stream"},
		{"takes equal commands for one", "calls without a command id are different commands"},
		{"new ids for each attempt", "a lost answer is looked up"},
		{"gives up when the outcome is unknown", "a lost answer is looked up"},
		{"new ids for each attempt", "a lost answer is looked up although the command would be rejected now"},
		{"takes an unknown outcome for done", "an append that did not happen is sent again"},
		{"says nothing when it gives up", "a store that stays down is an error"},
		{"new ids for each attempt", "a late append counts once"},
		{"appends at any version", "a late append does not follow a rejection"},
		{"goes on when the context has ended", "the end of the context ends the call"},
		{"hides the error of the context", "the end of the context ends the call"},
		{"waits whatever the context says", "the end of the context ends a pause"},
		{"loads once for all, until the first gives up", "a call that is given up harms no other"},
		{"hands out what it caches", "what a caller gets is its own"},
		{"folds after the append", "a panic in a function of the user costs one call"},
		{"clones after the append", "a panic in a function of the user costs one call"},
		{"lets an observer end the call", "a panic in a function of the user costs one call"},
		{"takes a panic for done", "a panic in a function of the user costs one call"},
		{"stays locked when somebody panics", "a panic in a function of the user costs one call"},
		{"loads once for all, until the first gives up", "a panic in a function of the user costs one call"},
		{"caches before it folds", "a panic in a function of the user costs one call"},
		{"folds after the append", "an event that cannot be read is not recorded"},
		{"does not read back what it writes", "an event that cannot be read is not recorded"},
		{"takes a panic for done", "an event that cannot be read is not recorded"},
		{"stays locked when somebody panics", "an event that cannot be read is not recorded"},
		{"asks for claims after the append", "a command whose claims panic is not recorded"},
		{"takes a panic of claims for none", "a command whose claims panic is not recorded"},
		{"stays locked when somebody panics", "a command whose claims panic is not recorded"},
		{"asks for claims after the append", "a panic in a function of the user costs one call"},
		{"claims nothing when it sends again", "claims are taken with the events"},
		{"tries again when a key is taken", "claims are taken with the events"},
		{"tries at most twice", "the second attempt follows at once and later ones wait"},
		{"appends at any version", "a conflict with an expected version is final"},
		{"hides the error of the context", "the end of the context ends a pause"},
		{"takes an unknown outcome for done", "a late append counts once"},
		{"tries an expected version again", "simulations"},
		{"tries at most twice", "simulations"},
		{"returns the state before", "a command id lands once"},
		{"begins a stream at any version", "schedules: two open the account"},
		{"appends what it decided first", "schedules: two take what is enough for one"},
		{"new ids for each attempt", "schedules: two take what is enough for one"},
		{"loads once for all, until the first gives up", "schedules: two take it in one process"},
		{"leaves repeated commands to the store", "schedules: two send the same command"},
		{"looks for its ids behind the snapshot", "schedules: two send the same command"},
		{"rejects what it could not look for", "schedules: two send the same command"},
		{"forgets what met a conflict", "schedules: three race"},
		{"takes an unknown outcome for done", "schedules: one is alone"},
		{"new ids for each attempt", "schedules: one is alone"},
		{"new ids for each attempt", "simulations"},
		{"appends what it decided first", "simulations"},
		{"takes an unknown outcome for done", "simulations"},
		{"forgets what met a conflict", "simulations"},
		{"trusts its cache", "simulations"},
		{"returns the state before", "simulations"},
		{"begins a stream at any version", "simulations"},
		{"leaves repeated commands to the store", "simulations"},
		{"looks for its ids behind the snapshot", "simulations"},
		{"does not look at the expected version", "simulations"},
		{"says nothing when it gives up", "simulations"},
		{"takes a failed read for the end", "simulations"},
		{"hands out what it caches", "simulations"},
	}
}

// lies are bugs of a [liar], each with the part that must notice it.
func lies() []planted {
	return []planted{
		{"takes a rejection for a conflict", "a stream is created once"},
		{"sends each append that goes well twice", "a conflict reads the tail only"},
		{"appends when it has given up", "attempts are bounded"},
		{"appends when it has given up", "a conflict with an expected version is final"},
		{"returns the version before", "a command is decided on the expected version only"},
		{"appends behind the caller's back", "the end of the context ends the call"},
		{"returns the next version without events", "without events nothing is appended"},
		{"appends in spite of a failed read", "a read that fails appends nothing"},
		{"hides the error of the store", "a load that fails is not an empty aggregate"},
		{"returns the version before", "a stream of many pages is loaded whole"},
		{"returns the version before", "the work of others is seen"},
		{"cannot load", "what a caller gets is its own"},
		{"changes what it handed out", "what a caller gets is its own"},
		{"does all again later", "a panic in a function of the user costs one call"},
		{"does not say that it had landed", "a command id lands once"},
		{"returns other events for what had landed", "a command id lands once"},
		{"ignores command ids", "a command id lands once"},
		{"says that a new command had landed", "a command id lands once"},
		{"says nothing of what had landed", "a lost answer is looked up"},
		{"returns the version before", "an append that did not happen is sent again"},
		{"sends each append that fails twice", "a store that stays down is an error"},
		{"fails to close", "a stream is created once"},
		{"says something else when the context ends", "a call that is given up harms no other"},
		{"returns a conflict for what it appended", "simulations"},
		{"fails now and then", "simulations"},
		{"returns an error for what it appended", "simulations"},
		{"sends each append that fails twice", "simulations"},
		{"returns the version before", "simulations"},
		{"returns other events for what had landed", "simulations"},
		{"does all again later", "simulations"},
	}
}

// The reference has no bugs that the suite knows of.
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

// Each part of the suite can fail: the bug that it is for is noticed by it.
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
				t.Errorf("%q has not noticed the bug", p.part)
				return
			}
			if _, schedule, ok := strings.Cut(failures[0], "\n   1  "); ok && strings.Count(schedule, "\n") >= 10 {
				t.Errorf("the schedule is longer than 10 lines: %s", failures[0])
			}
			t.Logf("%s", failures[0])
		})
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
