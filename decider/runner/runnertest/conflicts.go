package runnertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/evolvego/evolve/store"
)

func do(what string, n int, tag string) Command { return Command{Do: what, N: n, Tag: tag} }

// rival makes another writer append commands[i] right before append i+1.
func (t *trial) rival(commands ...Command) {
	t.probe.onAppend = func(_ context.Context, n int) error {
		if n <= len(commands) {
			t.given(acc, commands[n-1])
		}
		return nil
	}
}

// rivals makes another writer deposit before every append.
func (t *trial) rivals() {
	t.probe.onAppend = func(_ context.Context, n int) error {
		t.given(acc, do(doDeposit, 1, fmt.Sprint("rival", n)))
		return nil
	}
}

func createdOnce(t *trial) {
	t.probe.latency = time.Millisecond // all clients have read before any appends
	processes := []System{t.system(), t.system()}
	var errs [4]error
	for _, what := range []string{doOpen, doCredit} {
		t.together(len(errs), func(i int) {
			c := Call{ID: what, Command: do(what, 10, strconv.Itoa(i)), Attempts: len(errs)}
			var out Outcome
			if out, errs[i] = processes[i%2].Handle(t.ctx, c); errs[i] == nil {
				t.wantFold(what, out.State, out.Version, "Handle")
			}
		})
		winners := 0
		for _, err := range errs {
			if err == nil {
				winners++
			} else if !errors.Is(err, ErrRejected) {
				t.Errorf("%s of a new stream by %d = %v, want nil or a rejection", what, len(errs), err)
			}
		}
		if want := map[string]int{doOpen: 1, doCredit: len(errs)}[what]; winners != want {
			t.Errorf("%s of a new stream by %d succeeded for %d, want %d", what, len(errs), winners, want)
		}
		t.wantLength(what, map[string]int{doOpen: 1, doCredit: 1 + len(errs)}[what])
		creations := 0
		for _, event := range t.stream(what) {
			if event.What == opened {
				creations++
			}
		}
		if creations != 1 {
			t.Errorf("%s of a new stream by %d created it %d times, want once", what, len(errs), creations)
		}
	}
}

func decidedAgain(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	t.rival(do(doWithdraw, 5, "rival"))
	t.refused(t.system(), Call{ID: acc, Command: do(doWithdraw, 5, "late")}, ErrRejected)
	t.wantTags(acc, "given", "given", "rival")

	t.at("twice", func(t *trial) {
		t.given(acc, do(doCredit, 10, "given"))
		t.rival(do(doWithdraw, 3, "rival"), do(doWithdraw, 2, "rival"))
		out := t.must(t.system(), Call{ID: acc, Command: do(doWithdraw, 5, "mine")})
		if len(out.Events) != 1 || out.Events[0].Left != 0 {
			t.Errorf("after two conflicts the outcome has the events %+v, want a withdrawal that leaves 0", out.Events)
		}
		events := t.stream(acc)
		if last := events[len(events)-1]; last.Tag != "mine" || last.Left != 0 {
			t.Errorf("after two conflicts %+v was appended, want a withdrawal that leaves 0", last)
		}
		t.wantTags(acc, "given", "given", "rival", "rival", "mine")
	})
}

func conflictLosesNothing(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.rival(do(doDeposit, 1, "rival"), do(doDeposit, 1, "rival"))
	s := t.system()
	out := t.must(s, Call{ID: acc, Command: do(doDeposit, 5, "mine")})
	t.wantTags(acc, "given", "rival", "rival", "mine")
	if out.Version != 4 || len(out.Events) != 1 || out.Replayed {
		t.Errorf("after two conflicts the outcome is %+v, want one new event and version 4", out)
	}
	t.wantLoaded(s)
	t.wantLoaded(t.system())
}

func tailOnly(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	const known = 40
	for range known - 1 {
		t.given(acc, do(doDeposit, 1, "given"))
	}
	t.rival(do(doDeposit, 1, "rival"), do(doDeposit, 1, "rival"))
	t.must(t.system(), Call{ID: acc, Command: do(doDeposit, 5, "mine")})
	reads, appends := t.probe.asked()
	if len(appends) != 3 {
		t.Errorf("%d appends with two conflicts, want 3", len(appends))
	}
	for _, read := range reads {
		if read.after > 0 && read.lowest > 0 && read.lowest <= known {
			t.Errorf("after a conflict the stream was read from version %d, though %d versions were known", read.lowest, known)
		}
	}
}

func everybodyGetsThrough(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.probe.latency = time.Millisecond
	const clients = 6
	processes := [clients]System{t.system(), t.system(), t.system()}
	copy(processes[3:], processes[:])
	t.together(clients, func(i int) {
		c := Call{ID: acc, Command: do(doDeposit, 1, strconv.Itoa(i)), Attempts: clients}
		out, err := processes[i].Handle(t.ctx, c)
		if err != nil {
			t.Errorf("one of %d clients with as many attempts: %v, want no error", clients, err)
			return
		}
		t.wantFold(acc, out.State, out.Version, "Handle")
	})
	for i := range clients {
		if n := t.count(strconv.Itoa(i)); n != 1 {
			t.Errorf("the deposit of client %d is in the stream %d times, want once", i, n)
		}
	}
}

func attemptsBounded(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	for _, want := range []int{1, 4, 0} {
		t.probe.reset()
		t.rivals()
		t.refused(t.system(), Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: want}, store.ErrConflict)
		_, appends := t.probe.asked()
		if got := len(appends); want > 0 && got != want || got < 1 || got > 100 {
			t.Errorf("%d appends with at most %d attempts (0: a reasonable number)", got, want)
		}
	}
	if n := t.count("mine"); n != 0 {
		t.Errorf("%d events were appended by calls that gave up, want none", n)
	}
}

// Calls that wait for one another, or are handled together, still have their own number
// of attempts.
func attemptsOwn(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.probe.latency = time.Millisecond
	t.rivals()
	s := t.system()
	var took [3]time.Duration
	t.together(len(took), func(i int) {
		start := time.Now()
		time.Sleep(time.Duration(i) * time.Microsecond)
		c := Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: []int{1, 8, 1}[i]}
		t.refused(s, c, store.ErrConflict)
		took[i] = time.Since(start)
	})
	if took[2] > 10*t.probe.latency {
		t.Errorf("a call with one attempt, next to one with eight, took %v: it should need fewer than ten calls of the store", took[2])
	}
}

func backOff(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.rivals()
	t.refused(t.system(), Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: 10}, store.ErrConflict)
	_, appends := t.probe.asked()
	if len(appends) != 10 {
		t.Fatalf("%d appends with 10 attempts", len(appends))
	}
	if wait := appends[1].at.Sub(appends[0].at); wait != 0 {
		t.Errorf("the second attempt comes %v after the first, want at once", wait)
	}
	if wait := appends[9].at.Sub(appends[1].at); wait <= 0 || wait > time.Minute {
		t.Errorf("the attempts 3 to 10 take %v, want a reasonable time", wait)
	}
}

func expectedOnce(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.rivals()
	one := uint64(1)
	t.refused(t.system(), Call{ID: acc, Command: do(doDeposit, 5, "mine"), Expected: &one, Attempts: 5}, store.ErrConflict)
	if _, appends := t.probe.asked(); len(appends) > 1 {
		t.Errorf("%d appends with an expected version, want one", len(appends))
	}
	if n := t.count("mine"); n != 0 {
		t.Errorf("%d events were appended at another version than expected", n)
	}
}

func expectedVersion(t *trial) {
	zero, two, three, nine := uint64(0), uint64(2), uint64(3), uint64(9)
	s := t.system()
	t.must(s, Call{ID: acc, Command: do(doCredit, 5, "first"), Expected: &zero})
	t.given(acc, do(doDeposit, 5, "rival"))
	for _, process := range []System{s, t.system()} { // s may remember version 2
		for _, expected := range []*uint64{&zero, &two, &nine} {
			for _, c := range []Command{do(doDeposit, 1, "mine"), do(doWithdraw, 50, "mine"), do(doEnsure, 0, "mine")} {
				t.refused(process, Call{ID: acc, Command: c, Expected: expected}, store.ErrConflict)
			}
		}
	}
	t.must(s, Call{ID: acc, Command: do(doWithdraw, 10, "mine"), Expected: &three})
	t.wantTags(acc, "first", "first", "rival", "mine")
}
