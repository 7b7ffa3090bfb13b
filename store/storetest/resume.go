package storetest

import (
	"errors"
	"fmt"

	"github.com/evolvego/evolve/store"
)

func resumeClauses() []clause {
	return []clause{
		{"continues right after the checkpoint", resumeGoesOn},
		{"a log that was restored from before the checkpoint has diverged", resumeRestored},
		{"a log of other events has diverged", resumeOther},
		{"a log that cannot be read has not diverged", resumeFails},
	}
}

// checkpointAt returns the checkpoint of a consumer that has handled e.
func checkpointAt(e *store.Recorded) store.Checkpoint {
	return store.Checkpoint{Position: e.Position, EventID: e.ID}
}

// wantDiverged fails unless Resume reports that c was made on another log.
func (t *check) wantDiverged(st logStore, c store.Checkpoint, want store.DivergedError) {
	t.Helper()
	from, err := store.Resume(t.ctx, st, c)
	var got *store.DivergedError
	if !errors.As(err, &got) {
		t.Fatalf("Resume after %+v on another log = %d, %s; want a *DivergedError", c, from, answer(err))
	}
	if *got != want {
		t.Fatalf("Resume after %+v on another log = %+v, want %+v", c, *got, want)
	}
}

// ownLog returns an empty store to which it has appended events one by one, in stream
// s.
func (t *check) ownLog(s store.Stream, events []store.Event) logStore {
	t.Helper()
	st := as[logStore](t, t.open())
	for i := range events {
		t.append(st, s, store.Exactly(uint64(i)), events[i])
	}
	return st
}

func resumeGoesOn(t *check) {
	s, events := newStream("resume"), newEvents(6)
	st := t.ownLog(s, events)
	log := t.logOf(st, len(events))
	var c store.Checkpoint
	for handled := 0; ; handled++ {
		from, err := store.Resume(t.ctx, st, c)
		if err != nil {
			t.Fatalf("Resume after %+v failed: %v", c, err)
		}
		rest := t.log(st, store.LogOptions{From: from})
		if len(rest) != len(events)-handled || len(rest) > 0 && rest[0].ID != events[handled].ID {
			t.Fatalf("Resume after event %d of %d = %d, but %d events follow from there", handled, len(events), from, len(rest))
		}
		if handled == len(events) {
			return
		}
		c = checkpointAt(&log[handled])
	}
}

func resumeRestored(t *check) {
	s, events := newStream("resume"), newEvents(6)
	log := t.logOf(t.ownLog(s, events), len(events))
	for kept := range len(events) {
		restored := t.ownLog(s, events[:kept])
		for version := uint64(kept); ; version++ {
			if head := t.wantAllDiverged(restored, log[kept:]); head > log[len(log)-1].Position {
				break // the change was noticed at every event before
			}
			t.append(restored, s, store.Exactly(version), newEvents(1)...)
		}
	}
}

// wantAllDiverged fails unless Resume reports, for each of these events, that its
// checkpoint was made on another log. It returns the head of the log of st.
func (t *check) wantAllDiverged(st logStore, events []store.Recorded) (head uint64) {
	t.Helper()
	head, err := st.Head(t.ctx)
	if err != nil {
		t.Fatalf("Head failed: %v", err)
	}
	at := make(map[uint64]string)
	for _, e := range t.log(st, store.LogOptions{}) {
		at[e.Position] = e.ID
	}
	for i := range events {
		c := checkpointAt(&events[i])
		t.wantDiverged(st, c, store.DivergedError{Checkpoint: c, Found: at[c.Position], Head: head})
	}
	return head
}

func resumeOther(t *check) {
	s := newStream("resume")
	log := t.logOf(t.ownLog(s, newEvents(4)), 4)
	t.wantAllDiverged(t.ownLog(s, newEvents(4)), log)
}

func resumeFails(t *check) {
	s := newStream("resume")
	st := t.ownLog(s, newEvents(2))
	log := t.logOf(st, 2)
	for cause, ctx := range t.ended() {
		from, err := store.Resume(ctx, st, checkpointAt(&log[0]))
		if errors.Is(err, store.ErrLogDiverged) || err != nil && !errors.Is(err, cause) || err == nil && from != log[0].Position+1 {
			t.Fatalf("Resume with an ended context = %d, %s; want %v", from, answer(err), fmt.Sprint(cause))
		}
	}
}
