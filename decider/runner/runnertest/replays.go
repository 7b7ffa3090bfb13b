package runnertest

import (
	"slices"
	"strconv"
	"strings"
)

// wantReplay handles c, which is already recorded, again, and checks that it is
// recognized.
func (t *trial) wantReplay(s System, c Call, batch []Event) {
	t.Helper()
	before := len(t.stream(c.ID))
	out := t.must(s, c)
	if !out.Replayed {
		t.Errorf("a recorded command was handled again, but the outcome is not marked as replayed: %+v", out)
	}
	if !slices.Contains(out.State.Tags, c.Command.Tag) {
		t.Errorf("a recorded command was handled again, but the state %+v is older than its events", out.State)
	}
	if len(out.Events) > 0 && !slices.Equal(out.Events, batch) {
		t.Errorf("a recorded command was handled again: the outcome has the events %+v, want %+v", out.Events, batch)
	}
	if after := len(t.stream(c.ID)); after != before {
		t.Errorf("a recorded command was handled again: the stream has %d more events, want none", after-before)
	}
}

// lands handles c in a new stream after given commands. It returns the process that
// handled c, and the events.
func (t *trial) lands(c Call, given ...Command) (System, []Event) {
	t.Helper()
	t.given(c.ID, given...)
	before := len(t.stream(c.ID))
	s := t.system()
	out := t.must(s, c)
	if out.Replayed || len(out.Events) == 0 {
		t.Errorf("a new command: the outcome is %+v, want new events", out)
	}
	t.wantLength(c.ID, before+len(out.Events))
	return s, out.Events
}

func commandIDLandsOnce(t *trial) {
	c := Call{ID: acc, Command: do(doDeposit, 5, "mine"), CommandID: "command-1"}
	s, batch := t.lands(c, do(doOpen, 0, "given"))
	t.wantReplay(s, c, batch)
	t.given(acc, do(doDeposit, 1, "rival"))
	t.wantReplay(s, c, batch)
	for range 10 {
		t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "other")})
	}
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)
	t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "next"), CommandID: "command-2"})
	t.wantLength(acc, 1+1+1+10+1)
	t.wantLoaded(s)

	one := uint64(1) // a recorded command is not refused because of the version that it made
	c = Call{ID: "acc-2", Command: do(doDeposit, 5, "mine"), CommandID: "command-1", Expected: &one}
	s, batch = t.lands(c, do(doOpen, 0, "given"))
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)
}

func commandIDNowRejected(t *trial) {
	c := Call{ID: acc, Command: do(doWithdraw, 5, "mine"), CommandID: "command-1"}
	s, batch := t.lands(c, do(doCredit, 5, "given"))
	t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "other")}) // a snapshot or a cached state without enough funds
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)
	t.refused(s, Call{ID: acc, Command: do(doWithdraw, 5, "new"), CommandID: "command-2"}, ErrRejected)
	t.wantLength(acc, 4)
}

// The batch of the command was longer than what it would decide now, or the command would
// decide nothing.
func commandIDNowDifferent(t *trial) {
	c := Call{ID: acc, Command: do(doCredit, 5, "mine"), CommandID: "command-1"}
	s, batch := t.lands(c)
	t.must(s, Call{ID: acc, Command: do(doWithdraw, 5, "other")})
	t.wantLength(acc, 3)
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)

	c = Call{ID: "acc-2", Command: do(doEnsure, 0, "mine"), CommandID: "command-1"}
	s, batch = t.lands(c)
	t.must(s, Call{ID: "acc-2", Command: do(doDeposit, 5, "other")})
	t.wantLength("acc-2", 2)
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)
}

func commandIDOfStream(t *trial) {
	s := t.system()
	for _, id := range []string{"acc-1", "acc-2"} {
		t.must(s, Call{ID: id, Command: do(doCredit, 5, "mine"), CommandID: "command-1"})
		t.wantTags(id, "mine", "mine")
	}
}

// Ids that are nearly equal are different, and so are ids that give the same text when
// they are joined to the id of their stream.
func commandIDToTheByte(t *trial) {
	long := strings.Repeat("command-", 30)
	ids := []string{
		"command", "Command", "COMMAND", "command ", " command", "command\t", "commänd", "comma\u0308nd",
		long + "1", long + "2", "0", "10", "010", "1/0", "acc-1", "%", "command-1", "1-command",
	}
	for _, id := range []string{acc, "acc-11", "ACC-1", "acc-1/1", "acc"} {
		t.probe.reset()
		s := t.system()
		for n, command := range ids {
			out := t.must(s, Call{ID: id, Command: do(doCredit, 1, strconv.Itoa(n)), CommandID: command})
			if out.Replayed || len(out.Events) == 0 {
				t.Errorf("the command %q of %q was mistaken for another one: the outcome is %+v", command, id, out)
			}
		}
		t.wantLength(id, 1+len(ids))
	}
}

func withoutCommandID(t *trial) {
	s := t.system()
	for range 2 {
		t.must(s, Call{ID: acc, Command: do(doCredit, 5, "mine")})
	}
	t.must(t.system(), Call{ID: acc, Command: do(doCredit, 5, "mine")})
	t.wantTags(acc, "mine", "mine", "mine", "mine")
}
