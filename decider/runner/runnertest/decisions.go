package runnertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// wantNoAppend checks that no append was attempted.
func (t *trial) wantNoAppend(why string) {
	t.Helper()
	if _, appends := t.probe.asked(); len(appends) > 0 {
		t.Errorf("%s: there were %d appends, the first of %d events, want none", why, len(appends), appends[0].events)
	}
}

func rejectionIsFinal(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	s := t.system()
	for command, target := range map[Command]error{
		do(doWithdraw, 6, "mine"): ErrRejected,
		do("dance", 0, "mine"):    decider.ErrUnhandled,
	} {
		start := time.Now()
		t.refused(s, Call{ID: acc, Command: command}, target)
		if n, took := t.decisions(), time.Since(start); n != 1 || took != 0 {
			t.Errorf("a rejected command was decided %d times in %v, want once and at once", n, took)
		}
	}
	t.wantNoAppend("a rejection")
	t.wantLoaded(s)
}

func noEventsNoAppend(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	s := t.system()
	for range 2 {
		out := t.must(s, Call{ID: acc, Command: do(doEnsure, 0, "mine")})
		if out.Version != 2 || len(out.Events) != 0 || out.Replayed {
			t.Errorf("the outcome of a command with nothing to do is %+v, want no events and version 2", out)
		}
	}
	t.decider.Decide = func(Command, State) ([]Event, error) { return []Event{}, nil }
	t.must(t.system(), Call{ID: "new", Command: do(doOpen, 0, "mine")})
	t.wantNoAppend("a command with nothing to do")
}

func notEncoded(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	s := t.system()
	t.refused(s, Call{ID: acc, Command: do(doSpoil, 5, "mine")}, errUnencodable)
	t.wantNoAppend("an event that cannot be encoded")
	t.wantLoaded(s)
	t.must(s, Call{ID: acc, Command: do(doDeposit, 5, "next")})
	t.wantTags(acc, "given", "next")
}

func readFails(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	s := t.system()
	t.faults.NextRead(faults.Down)
	c := Call{ID: acc, Command: do(doDeposit, 5, "mine")}
	want := []string{"given"}
	if _, err := s.Handle(t.ctx, c); err == nil {
		want = append(want, "mine") // it has tried again
	} else if !errors.Is(err, faults.ErrInjected) || errors.Is(err, ErrRejected) {
		t.Errorf("Handle(%+v) = %v, want the error of the store", c, err)
	}
	t.must(s, Call{ID: acc, Command: do(doDeposit, 5, "next")})
	t.wantTags(acc, append(want, "next")...)
	t.wantLoaded(s)
}

// If a read fails, the first one or that of a later page, Load returns an error, or reads
// again. It never treats a part as the whole.
func loadFails(t *trial) {
	const events = 5
	for fails := 1; fails <= events; fails++ {
		t.at(fmt.Sprintf("read %d fails", fails), func(t *trial) {
			t.given(acc, do(doOpen, 0, "given"))
			for range events - 1 {
				t.given(acc, do(doDeposit, 1, "given"))
			}
			t.probe.pageSize = 1
			t.probe.onRead = func(_ context.Context, n int) error {
				if n == fails {
					return faults.ErrInjected
				}
				return nil
			}
			s := t.system()
			state, version, err := t.load(s)
			if err == nil && version != events {
				t.Errorf("Load() = %+v at version %d, no error, though a read failed", state, version)
			}
			if err != nil && !errors.Is(err, faults.ErrInjected) {
				t.Errorf("Load() = %v, want the error of the store", err)
			}
			t.wantLoaded(s)
		})
	}
}

func manyPages(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	for range 6 {
		t.given(acc, do(doDeposit, 1, "given"))
	}
	for _, size := range []int{1, 3, 7} {
		t.probe.pageSize = size
		s := t.system()
		t.wantLoaded(s)
		before := len(t.stream(acc))
		if out := t.must(s, Call{ID: acc, Command: do(doWithdraw, 1, "mine")}); out.Version != uint64(before)+1 {
			t.Errorf("in pages of %d a command led to version %d, want %d", size, out.Version, before+1)
		}
		t.wantLength(acc, before+1)
		t.wantLoaded(s)
	}
	c := Call{ID: "acc-2", Command: do(doCredit, 1, "mine"), CommandID: "command-1"} // two events: more than a page
	t.probe.pageSize = 1
	s, batch := t.lands(c)
	for range 3 {
		t.must(s, Call{ID: "acc-2", Command: do(doDeposit, 1, "other")})
	}
	t.wantReplay(s, c, batch)
	t.wantReplay(t.system(), c, batch)
	t.wantLength("acc-2", 2+3)
}

func othersAreSeen(t *trial) {
	s := t.system()
	t.must(s, Call{ID: acc, Command: do(doCredit, 5, "mine")})
	t.given(acc, do(doWithdraw, 5, "rival"))
	t.refused(s, Call{ID: acc, Command: do(doWithdraw, 1, "mine")}, ErrRejected)
	t.given(acc, do(doDeposit, 2, "rival"))
	t.wantLoaded(s)
	if out := t.must(s, Call{ID: acc, Command: do(doWithdraw, 2, "mine")}); out.Version != 5 {
		t.Errorf("the outcome is at version %d, want 5", out.Version)
	}
	t.given(acc, do(doDeposit, 9, "rival"))
	if out := t.must(s, Call{ID: acc, Command: do(doEnsure, 0, "mine")}); out.Version != 6 {
		t.Errorf("a command with nothing to do returned version %d, want 6", out.Version)
	}
	t.wantTags(acc, "mine", "mine", "rival", "rival", "mine", "rival")
}

// tooLong is a type of events that no store accepts.
var tooLong = strings.Repeat("x", store.MaxName+1)

// A process that remembers an old state does not use it to refuse a command, or to answer
// that there is nothing to do. It looks at the stream first.
func oldRefusesNothing(t *trial) {
	for what, onOld := range map[string]func(c Command) ([]Event, error){
		"is rejected":       func(Command) ([]Event, error) { return nil, ErrRejected },
		"has nothing to do": func(Command) ([]Event, error) { return nil, nil },
		"cannot be encoded": func(c Command) ([]Event, error) { return []Event{{What: spoilt, Tag: c.Tag}}, nil },
		"is not storable":   func(c Command) ([]Event, error) { return []Event{{What: tooLong, Tag: c.Tag}}, nil },
		"panics":            func(Command) ([]Event, error) { panic("on an old state") },
	} {
		for _, id := range []string{"", "command-1"} {
			t.at(fmt.Sprintf("a command with the id %q %s on the old state", id, what), func(t *trial) {
				t.given(acc, do(doCredit, 5, "given"))
				decide := t.decider.Decide
				t.decider.Decide = func(c Command, s State) ([]Event, error) {
					if c.Tag == "mine" && s.Balance < 50 {
						return onOld(c)
					}
					return decide(c, s)
				}
				s := t.system()
				t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "first")})
				t.given(acc, do(doDeposit, 50, "rival"))
				if o := t.tell(s, Call{ID: acc, Command: do(doDeposit, 1, "mine"), CommandID: id}); o.failed() {
					t.Errorf("Handle = %v, want what is right now", o)
				} else {
					t.wantFold(acc, o.out.State, o.out.Version, "Handle")
				}
				t.wantTags(acc, "given", "given", "first", "rival", "mine")
				t.wantLoaded(s)
			})
		}
	}
}

// A store was restored from a backup that is older than its snapshots.
func snapshotBeyond(t *trial) {
	t.at("before", func(before *trial) {
		before.must(before.system(), Call{ID: acc, Command: do(doCredit, 5, "lost")})
		before.must(before.system(), Call{ID: acc, Command: do(doCredit, 5, "lost")})
		before.wantTags(acc, "lost", "lost", "lost")
		t.probe.Snapshots = before.memory
	})
	t.given(acc, do(doOpen, 0, "given"))
	t.wantLoaded(t.system())
	t.must(t.system(), Call{ID: acc, Command: do(doDeposit, 1, "mine")})
	t.wantTags(acc, "given", "mine")
}

// Nothing that a caller does to its states changes anything for other callers, and
// nothing that other callers do later changes its states.
func callerOwns(t *trial) {
	s := t.system()
	var kept []State
	var was []State
	keep := func(state State) {
		kept, was = append(kept, state), append(was, state.Clone())
	}
	for range 3 {
		out := t.must(s, Call{ID: acc, Command: do(doCredit, 1, "mine")})
		keep(out.State)
		state, version, err := s.Load(t.ctx, acc)
		if err != nil {
			t.Fatalf("Load(%s) = %v", acc, err)
		}
		t.wantFold(acc, state, version, "Load")
		keep(state)
	}
	for i := range kept {
		if !kept[i].equal(was[i]) {
			t.Errorf("a state was returned as %+v and has become %+v", was[i], kept[i])
		}
	}
	for _, state := range kept {
		state.spoil()
	}
	t.must(s, Call{ID: acc, Command: do(doCredit, 1, "mine")}).spoil()
	t.must(s, Call{ID: acc, Command: do(doEnsure, 0, "mine")}).spoil()
	t.must(s, Call{ID: acc, Command: do(doWithdraw, 4, "mine")})
	t.wantLength(acc, 6)
	t.wantLoaded(t.system())
}

// Callers that are served together, by one load or in one batch, share nothing: a change
// by one of them does not affect the others.
func callersOwn(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	t.probe.latency = time.Millisecond
	s := t.system()
	for round := range 2 { // the second time from what the first left behind
		const n = 6
		outs := make([]Outcome, n)
		t.together(n, func(i int) {
			c := do(doEnsure, 0, "mine")
			if i%3 == 2 {
				c = do(doDeposit, 1, "mine")
			}
			var err error
			if outs[i], err = s.Handle(t.ctx, Call{ID: acc, Command: c, Attempts: n}); err != nil {
				t.Errorf("Handle() by one of %d callers = %v, want no error", n, err)
			}
		})
		t.wantLength(acc, 2+2*(round+1))
		for i := range outs {
			for j := i; j < n; j++ { // those that are not spoilt yet
				t.wantFold(acc, outs[j].State, outs[j].Version, "Handle")
			}
			outs[i].spoil()
		}
		t.wantLoaded(s)
	}
}
