package runnertest

import (
	"context"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// gone is a system that only panics.
type gone struct{}

// Handle panics.
func (gone) Handle(context.Context, Call) (Outcome, error) { panic("gone") }

// Load panics.
func (gone) Load(context.Context, string) (State, uint64, error) { panic("gone") }

// TestTrouble checks that a trial says what it could not do itself, and that a system
// panics.
func TestTrouble(t *testing.T) {
	t.Parallel()
	closed := func(do func(t *trial)) func(t *trial) {
		return func(t *trial) {
			_ = t.memory.Close()
			do(t)
		}
	}
	for says, check := range map[string]func(t *trial){
		"append for another writer: ": func(t *trial) {
			t.others = t.faults
			t.faults.Next(faults.Down)
			t.given(acc, do(doOpen, 0, "given"))
		},
		"Encode({What:spoilt ":              func(t *trial) { t.given(acc, do(doSpoil, 0, "given")) },
		"read what is in the stream: ":      closed(func(t *trial) { t.stream(acc) }),
		"read the version of the stream: ":  closed(func(t *trial) { (&simulation{trial: t}).head() }),
		"the key of the command a is held ": closed(func(t *trial) { t.wantHolder("a", "") }),
		"here: Load(acc-1) = panic: gone":   func(t *trial) { t.at("here", func(t *trial) { t.wantLoaded(gone{}) }) },
		"got a panic, gone, want no error":  func(t *trial) { t.wantServed(gone{}) },
	} {
		failures := record(func(tb reporter) {
			trial := newTrial(t.Context(), tb, func(decider.Decider[Command, State, Event], store.Store, codec.Codec[Event]) System { return gone{} })
			check(trial)
		})
		if !strings.Contains(strings.Join(failures, "\n"), says) {
			t.Errorf("a trial says %q, want %q", failures, says)
		}
	}
}

// TestEnough checks how many calls of the store a clause allows.
func TestEnough(t *testing.T) {
	t.Parallel()
	for calls, want := range map[int]int{enough: 0, enough + 1: 1} {
		failures := record(func(tb reporter) {
			trial := newTrial(t.Context(), tb, nil)
			for range calls {
				_, _ = trial.probe.Read(t.Context(), streamOf(acc), store.ReadOptions{})
			}
		})
		if len(failures) != want {
			t.Errorf("after %d calls a trial says %q", calls, failures)
		}
	}
}
