package runnertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/history"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// TestHistory checks what a simulation says about single calls, and that it says nothing
// about true answers. The stream has two events of the command c0, an event of c1 and an
// event of another writer.
func TestHistory(t *testing.T) {
	t.Parallel()
	c0, c1, c2 := do(doCredit, 5, "c0"), do(doDeposit, 1, "c1"), do(doWithdraw, 9, "c2")
	zero, one, two := uint64(0), uint64(1), uint64(2)
	events, err := decideAccount(c0, State{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(version uint64, events ...Event) Outcome {
		tags := []string{"c0", "c0", "c1", "other"}[:version]
		return Outcome{State{true, version > 0, []int{0, 0, 5, 6, 7}[version], tags}, version, events, false}
	}
	again := func(o Outcome) Outcome { o.Replayed = true; return o }
	asked := func(expected store.Expected, actual uint64) history.Op {
		return history.Op{Expected: expected, Err: &store.ConflictError{Actual: actual}}
	}
	wrong := Event{What: deposited, Tag: "c0"}
	for name, tt := range map[string]struct {
		call handled
		says string // empty: nothing
	}{
		"new":                     {handled{Call: Call{Command: c0}, last: 2, out: at(2, events...)}, ""},
		"replayed":                {handled{Call: Call{Command: c0}, last: 4, out: again(at(4, events...))}, ""},
		"replayed, no events":     {handled{Call: Call{Command: c0}, last: 4, out: again(at(4))}, ""},
		"expected":                {handled{Call: Call{Command: c0, Expected: &zero}, last: 2, out: at(2, events...)}, ""},
		"rejected":                {handled{Call: Call{Command: c2}, last: 1, err: ErrRejected}, ""},
		"conflict":                {handled{Call: Call{Command: c2, Expected: &one}, first: 2, last: 2, err: store.ErrConflict}, ""},
		"gave up":                 {handled{Call: Call{Command: c2}, last: 4, err: store.ErrConflict, asked: []history.Op{asked(1, 2)}}, ""},
		"canceled":                {handled{Call: Call{Command: c2}, last: 4, err: context.Canceled}, "its context has not ended"},
		"rejected, but there":     {handled{Call: Call{Command: c1}, err: ErrRejected}, "was rejected, but is in the stream"},
		"rejected without reason": {handled{Call: Call{Command: do(doCredit, 1, "c2")}, last: 4, err: ErrRejected}, "is rejected; but that is true at no version"},
		"conflict, but there":     {handled{Call: Call{Command: c0}, last: 4, err: store.ErrConflict}, "but it is in the stream"},
		"conflict without reason": {handled{Call: Call{Command: c2, Expected: &two}, first: 2, last: 2, err: store.ErrConflict}, "conflicts; but that is true at no version"},
		"another error":           {handled{Call: Call{Command: c2}, last: 4, err: errors.New("busy")}, "although the store works"},
		"not there":               {handled{Call: Call{Command: c2}, last: 4, out: at(4, wrong)}, "succeeded, but the stream does not have it"},
		"too early":               {handled{Call: Call{Command: c0}, last: 4, out: again(at(1))}, "succeeded at version 1, but the stream does not have it"},
		"replayed as another":     {handled{Call: Call{Command: c0}, last: 4, out: again(at(4, wrong))}, "was recorded as"},
		"other events":            {handled{Call: Call{Command: c0}, last: 4, out: at(2, wrong)}, "but the outcome says"},
		"another state":           {handled{Call: Call{Command: c0}, last: 4, out: Outcome{Version: 2, Events: events}}, "returned the state"},
		"at another version":      {handled{Call: Call{Command: c0, Expected: &one}, last: 4, out: at(2, events...)}, "was recorded at version 0"},
		"nothing to do":           {handled{Call: Call{Command: c2}, last: 4, out: at(4)}, "has nothing to do; but that is true at no version"},
		"at any version":          {handled{Call: Call{Command: c2}, err: ErrRejected, asked: []history.Op{asked(store.Any, 0)}}, "appends at any version after"},
		"at an old version":       {handled{Call: Call{Command: c2}, err: ErrRejected, asked: []history.Op{asked(store.Exactly(1), 2), asked(store.Exactly(1), 2)}}, "after a conflict with version 2"},
		"once more":               {handled{Call: Call{Command: c2, Expected: &one}, err: ErrRejected, asked: []history.Op{asked(store.Exactly(1), 2), asked(store.Exactly(2), 2)}}, "retries after a conflict"},
		"too often":               {handled{Call: Call{Command: c2, Attempts: 1}, err: ErrRejected, asked: []history.Op{asked(store.Exactly(1), 2), asked(store.Exactly(2), 2)}}, "appends 2 times, but may try 1 times"},
		"too seldom":              {handled{Call: Call{Command: c2, Attempts: 1}, last: 4, err: store.ErrConflict}, "but gave up"},
		"decided otherwise":       {handled{Call: Call{Command: do(doOpen, 0, "c0")}, last: 2, out: at(2, events...)}, "decides [{What:opened"},
	} {
		failures := record(func(tb reporter) {
			s := &simulation{trial: newTrial(t.Context(), tb, nil), sim: &schedule.Sim{}, calls: []handled{tt.call}}
			s.Clients = []client{{Calls: []Call{tt.call.Call}}}
			s.given(acc, c0, c1, do(doDeposit, 1, "other"))
			s.wantHistory()
		})
		if said := strings.Join(failures, "\n"); (said == "") != (tt.says == "") || !strings.Contains(said, tt.says) {
			t.Errorf("%s: a simulation says %q, want %q", name, failures, tt.says)
		}
	}
}
