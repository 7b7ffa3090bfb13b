package runnertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// beforeReadAgain calls do before the first read after an append.
func (t *trial) beforeReadAgain(do func()) {
	done := false
	t.probe.onRead = func(context.Context, int) error {
		if _, appends := t.probe.asked(); len(appends) > 0 && !done {
			done = true
			do()
		}
		return nil
	}
}

// beforeAppendAgain calls do before the second append.
func (t *trial) beforeAppendAgain(do func()) {
	t.probe.onAppend = func(_ context.Context, n int) error {
		if n == 2 {
			do()
		}
		return nil
	}
}

// wantOnce checks that the stream of acc has the n events of the command "mine" once, one
// after the other.
func (t *trial) wantOnce(n int) {
	t.Helper()
	first, last := -1, -1
	for i, event := range t.stream(acc) {
		if event.Tag == "mine" {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if got := t.count("mine"); got != n || n > 0 && last-first != n-1 {
		t.Errorf("the stream has %d events of the command, want its %d once, one after the other: %+v", got, n, t.stream(acc))
	}
}

func lostAnswer(t *trial) {
	const lost, down, refuse = faults.Lost, faults.Down, faults.Refuse
	for _, queued := range [][]faults.Fault{{lost}, {lost, lost, down}, {down, lost}, {refuse, lost}, {lost, refuse}} {
		for _, given := range []bool{false, true} {
			t.at(fmt.Sprint(queued, " in an old stream: ", given), func(t *trial) {
				if given {
					t.given(acc, do(doOpen, 0, "given"))
				}
				f := faults.Wrap(t.memory, 1, faults.Rate{Rival: func(context.Context, store.Stream) error {
					t.given(acc, do(doOpen, 0, "rival"), do(doDeposit, 1, "rival"))
					return nil
				}})
				f.Next(queued...)
				t.probe.inner = f
				s := t.system()
				out := t.must(s, Call{ID: acc, Command: do(doCredit, 5, "mine"), Attempts: 6})
				if len(out.Events) == 0 && !out.Replayed {
					t.Errorf("the outcome is %+v, which says that nothing happened", out)
				}
				want := 2 // it also opens the account
				if given || queued[0] == refuse {
					want = 1
				}
				t.wantOnce(want)
				t.wantLoaded(s)
			})
		}
	}
}

func lostAnswerNowRejected(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	t.faults.Next(faults.Lost)
	t.beforeReadAgain(func() { t.given(acc, do(doDeposit, 1, "rival")) })
	t.must(t.system(), Call{ID: acc, Command: do(doWithdraw, 5, "mine")})
	t.wantOnce(1)
}

func downOnce(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.faults.Next(faults.Down)
	s := t.system()
	out := t.must(s, Call{ID: acc, Command: do(doDeposit, 5, "mine")})
	if out.Version != 2 || len(out.Events) != 1 {
		t.Errorf("after an append that did not happen the outcome is %+v, want one event and version 2", out)
	}

	t.probe.reset()
	t.faults.Next(faults.Down)
	t.beforeReadAgain(func() { t.given(acc, do(doWithdraw, 5, "rival")) })
	t.refused(s, Call{ID: acc, Command: do(doWithdraw, 5, "other")}, ErrRejected)
	t.wantTags(acc, "given", "mine", "rival")
}

func staysDown(t *trial) {
	t.given(acc, do(doOpen, 0, "given"))
	t.faults.Next(faults.Down, faults.Down, faults.Down, faults.Down)
	c := Call{ID: acc, Command: do(doDeposit, 5, "mine"), Attempts: 4}
	out, err := t.system().Handle(t.ctx, c)
	if !errors.Is(err, faults.ErrInjected) || errors.Is(err, ErrRejected) || errors.Is(err, store.ErrConflict) {
		t.Errorf("Handle(%+v) = %+v, %v, want the error of the store", c, out, err)
	}
	t.wantTags(acc, "given") // a fifth append would have happened
}

// An append that timed out takes effect at any point after it.
func lateOnce(t *trial) {
	rival := func(t *trial) { t.given(acc, do(doOpen, 0, "rival"), do(doDeposit, 1, "rival")) }
	points := map[string]func(t *trial){
		"takes effect before the next read":  func(t *trial) { t.beforeReadAgain(t.faults.Land) },
		"takes effect after the call":        func(*trial) {},
		"takes effect after another writer":  func(t *trial) { t.beforeReadAgain(func() { rival(t); t.faults.Land() }) },
		"takes effect before another writer": func(t *trial) { t.beforeReadAgain(func() { t.faults.Land(); rival(t) }) },
		"takes effect and is overtaken":      func(t *trial) { t.beforeAppendAgain(func() { t.faults.Land(); rival(t) }) },
	}
	for name, prepare := range points {
		t.at(name, func(t *trial) {
			t.faults.Next(faults.Late)
			prepare(t)
			s := t.system()
			t.must(s, Call{ID: acc, Command: do(doCredit, 5, "mine")})
			landed := t.count("mine")
			t.faults.Land()
			if landed == 0 {
				t.Errorf("the command succeeded, but its events were not in the stream")
			}
			want := 1
			if t.stream(acc)[0].Tag == "mine" {
				want = 2 // it also opened the account
			}
			t.wantOnce(want)
			t.wantLoaded(s)
		})
	}
}

// An append timed out, another writer made the command impossible, and the call was
// rejected. After that, the append must not take effect.
func lateAfterRejection(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	t.faults.Next(faults.Late)
	t.beforeReadAgain(func() { t.given(acc, do(doWithdraw, 1, "rival")) })
	t.refused(t.system(), Call{ID: acc, Command: do(doWithdraw, 5, "mine")}, ErrRejected)
	t.faults.Land()
	t.wantOnce(0)
}
