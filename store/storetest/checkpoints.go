package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store"
)

func hasCheckpoints(st store.Store) bool {
	_, ok := st.(store.Checkpoints)
	return ok
}

func checkpointClauses() []clause {
	return []clause{
		{"a new consumer has the zero checkpoint", checkpointMissing},
		{"a load returns the saved bytes", checkpointFidelity},
		{"a save from another checkpoint is a conflict and changes nothing", checkpointConflicts},
		{"it moves forward, to itself or to zero, with a valid name", checkpointRefuses},
		{"a save to the same checkpoint changes nothing", checkpointHolds},
		{"a save to zero resets it", checkpointResets},
		{"names are kept apart, byte for byte", checkpointNames},
		{"they are listed in the byte order of their names", checkpointList},
		{"exactly one of several concurrent saves wins each step", checkpointContention},
		{"nothing is saved with an ended context", checkpointEnded},
	}
}

func checkpointCall(name string, from, to store.Checkpoint) string {
	return fmt.Sprintf("SaveCheckpoint(%+q, %+v, %+v)", name, from, to)
}

func (t *check) checkpoints() store.Checkpoints { return as[store.Checkpoints](t, t.store) }

func newConsumer() string { return "consumer " + store.NewID() }

func (t *check) saveCheckpoint(st store.Checkpoints, name string, from, to store.Checkpoint) {
	t.Helper()
	if err := st.SaveCheckpoint(t.ctx, name, from, to); err != nil {
		t.Fatalf("%s failed: %v", checkpointCall(name, from, to), err)
	}
}

func (t *check) wantCheckpoint(st store.Checkpoints, name string, want store.Checkpoint) {
	t.Helper()
	if got, err := st.LoadCheckpoint(t.ctx, name); err != nil || got != want {
		t.Fatalf("LoadCheckpoint(%+q) = %+q, %s; want %+q", name, fmt.Sprint(got), answer(err), fmt.Sprint(want))
	}
}

func checkpointMissing(t *check) {
	t.wantCheckpoint(t.checkpoints(), newConsumer(), store.Checkpoint{})
}

func checkpointFidelity(t *check) {
	st := t.checkpoints()
	name := newConsumer()
	var from store.Checkpoint
	for i, text := range append(strange(), "") {
		to := store.Checkpoint{Position: uint64(i*i + 1), EventID: text}
		t.saveCheckpoint(st, name, from, to)
		t.wantCheckpoint(st, name, to)
		from = to
	}
	last := store.Checkpoint{Position: store.MaxVersion, EventID: "last"}
	t.saveCheckpoint(st, name, from, last)
	t.wantCheckpoint(st, name, last)
}

func checkpointConflicts(t *check) {
	st := t.checkpoints()
	name, missing := newConsumer(), newConsumer()
	is, to := store.Checkpoint{Position: 5, EventID: "e5"}, store.Checkpoint{Position: 9, EventID: "e9"}
	conflict := func(name string, from, was store.Checkpoint) {
		t.Helper()
		if err := st.SaveCheckpoint(t.ctx, name, from, to); !errors.Is(err, store.ErrConflict) || !store.Definite(err) {
			t.Fatalf("%s when it is %+v = %s, want an error that matches ErrConflict", checkpointCall(name, from, to), was, answer(err))
		}
		t.wantCheckpoint(st, name, was)
	}
	for _, from := range []store.Checkpoint{is, {Position: 1}, {EventID: "e0"}} {
		conflict(missing, from, store.Checkpoint{})
	}
	t.saveCheckpoint(st, name, store.Checkpoint{}, is)
	for _, from := range []store.Checkpoint{
		{},
		{Position: 4, EventID: "e4"},
		{Position: 6, EventID: "e6"},
		{Position: 5},
		{Position: 5, EventID: "E5"},
		{Position: 5, EventID: "e5 "},
		{Position: 4, EventID: "e5"},
		{Position: 6, EventID: "e5"},
	} {
		conflict(name, from, is)
	}
	t.saveCheckpoint(st, name, is, to)
	t.wantCheckpoint(st, name, to)
}

func checkpointRefuses(t *check) {
	st := t.checkpoints()
	name := newConsumer()
	is := store.Checkpoint{Position: 5, EventID: "e5"}
	t.saveCheckpoint(st, name, store.Checkpoint{}, is)
	for _, to := range []store.Checkpoint{{Position: 5, EventID: "other"}, {Position: 4, EventID: "e4"}, {EventID: "e0"}} {
		t.wantInvalid(checkpointCall(name, is, to), st.SaveCheckpoint(t.ctx, name, is, to), "")
		t.wantCheckpoint(st, name, is)
	}
	for _, bad := range badNames() {
		t.wantInvalid(checkpointCall(bad.text, store.Checkpoint{}, is), st.SaveCheckpoint(t.ctx, bad.text, store.Checkpoint{}, is), "")
		got, err := st.LoadCheckpoint(t.ctx, bad.text)
		if err != nil {
			t.wantInvalid(fmt.Sprintf("LoadCheckpoint(%.40q)", bad.text), err, "")
		} else if got != (store.Checkpoint{}) {
			t.Fatalf("LoadCheckpoint(%.40q) = %+v after a refused save, want none", bad.text, got)
		}
	}
}

func checkpointHolds(t *check) {
	st := t.checkpoints()
	name := newConsumer()
	is, other := store.Checkpoint{Position: 5, EventID: "e5"}, store.Checkpoint{Position: 5, EventID: "e6"}
	t.saveCheckpoint(st, name, store.Checkpoint{}, store.Checkpoint{})
	t.wantCheckpoint(st, name, store.Checkpoint{})
	t.saveCheckpoint(st, name, store.Checkpoint{}, is)
	t.saveCheckpoint(st, name, is, is)
	t.wantCheckpoint(st, name, is)
	for _, not := range []store.Checkpoint{other, {}} {
		if err := st.SaveCheckpoint(t.ctx, name, not, not); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("%s when it is %+v = %s, want an error that matches ErrConflict", checkpointCall(name, not, not), is, answer(err))
		}
		t.wantCheckpoint(st, name, is)
	}
}

func checkpointResets(t *check) {
	st := t.checkpoints()
	name := newConsumer()
	is, next := store.Checkpoint{Position: 5, EventID: "e5"}, store.Checkpoint{Position: 3, EventID: "e3"}
	t.saveCheckpoint(st, name, store.Checkpoint{}, is)
	if err := st.SaveCheckpoint(t.ctx, name, next, store.Checkpoint{}); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("%s when it is %+v = %s, want an error that matches ErrConflict",
			checkpointCall(name, next, store.Checkpoint{}), is, answer(err))
	}
	t.wantCheckpoint(st, name, is)
	t.saveCheckpoint(st, name, is, store.Checkpoint{})
	t.wantCheckpoint(st, name, store.Checkpoint{})
	t.saveCheckpoint(st, name, store.Checkpoint{}, next)
	t.wantCheckpoint(st, name, next)
}

func checkpointNames(t *check) {
	st := t.checkpoints()
	saved := make(map[string]store.Checkpoint)
	for i, name := range fresh(newTag()) {
		t.wantCheckpoint(st, name, store.Checkpoint{})
		saved[name] = store.Checkpoint{Position: uint64(i) + 1, EventID: name}
		t.saveCheckpoint(st, name, store.Checkpoint{}, saved[name])
	}
	for name, want := range saved {
		t.wantCheckpoint(st, name, want)
	}
}

func checkpointList(t *check) {
	st := as[store.Checkpoints](t, t.open())
	call := func(from string, limit int) string { return fmt.Sprintf("ListCheckpoints(%+.80q, %d)", from, limit) }
	list := func(from string, limit int, want []store.NamedCheckpoint) {
		t.Helper()
		got, err := st.ListCheckpoints(t.ctx, from, limit)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s = %d checkpoints, %s; want %d\n got %+.200q\nwant %+.200q", call(from, limit), len(got), answer(err), len(want), fmt.Sprint(got), fmt.Sprint(want))
		}
	}
	list("", 0, nil)
	var all []store.NamedCheckpoint
	for i, name := range alike() {
		c := store.NamedCheckpoint{Name: name, Checkpoint: store.Checkpoint{Position: uint64(1000 - i), EventID: name}}
		t.saveCheckpoint(st, name, store.Checkpoint{}, c.Checkpoint)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b store.NamedCheckpoint) int { return strings.Compare(a.Name, b.Name) })
	n := len(all)
	list("", 0, all)
	list("", n-1, all[:n-1])
	list(all[3].Name, 2, all[3:5])
	list(all[3].Name+"\x01", 1, all[4:5])
	list(all[n-1].Name, 0, all[n-1:])
	t.saveCheckpoint(st, all[1].Name, all[1].Checkpoint, store.Checkpoint{})
	list("", 2, []store.NamedCheckpoint{all[0], all[2]})
	for field, err := range map[string]error{
		"from":  second(st.ListCheckpoints(t.ctx, "a\x00", 1)),
		"limit": second(st.ListCheckpoints(t.ctx, "", -1)),
	} {
		t.wantInvalid("ListCheckpoints with an invalid "+field, err, field)
	}
	for cause, ctx := range t.ended() {
		if _, err := st.ListCheckpoints(ctx, "", 0); !errors.Is(err, cause) {
			t.Fatalf("ListCheckpoints with an ended context =  %s, want %v", answer(err), cause)
		}
	}
	if !hasTenants(t.store) {
		return
	}
	a, b := t.newTenants()
	t.saveCheckpoint(as[store.Checkpoints](t, a), "of a", store.Checkpoint{}, all[0].Checkpoint)
	if got, err := as[store.Checkpoints](t, b).ListCheckpoints(t.ctx, "", 0); err != nil || len(got) != 0 {
		t.Fatalf("ListCheckpoints of a tenant without checkpoints = %+v, %s; only another tenant has one", got, answer(err))
	}
}

// second returns the second result of a call, its error.
func second[T any](_ T, err error) error { return err }

func checkpointContention(t *check) {
	const savers = 8
	st := t.checkpoints()
	steps := uint64(t.times(50))
	name := newConsumer()
	winners := make([][]uint64, savers)
	t.together(savers, func(i int) error {
		for {
			from, err := st.LoadCheckpoint(t.ctx, name)
			if err != nil || from.Position >= steps {
				return err
			}
			to := store.Checkpoint{Position: from.Position + 1, EventID: strconv.Itoa(i)}
			err = st.SaveCheckpoint(t.ctx, name, from, to)
			switch {
			case err == nil:
				winners[i] = append(winners[i], to.Position)
			case !errors.Is(err, store.ErrConflict):
				return fmt.Errorf("%s, concurrently with others: %w", checkpointCall(name, from, to), err)
			}
		}
	})
	wins := make([]int, steps+1)
	for _, positions := range winners {
		for _, p := range positions {
			wins[p]++
		}
	}
	for p, n := range wins[1:] {
		if n != 1 {
			t.Fatalf("%[3]d concurrent saves moved the checkpoint from %[1]d to %[2]d, want 1", p, p+1, n)
		}
	}
}

func checkpointEnded(t *check) {
	st := t.checkpoints()
	name := newConsumer()
	for cause, ctx := range t.ended() {
		to := store.Checkpoint{Position: 1, EventID: "e1"}
		if err := st.SaveCheckpoint(ctx, name, store.Checkpoint{}, to); !errors.Is(err, cause) {
			t.Fatalf("%s with an ended context = %s, want %v", checkpointCall(name, store.Checkpoint{}, to), answer(err), cause)
		}
		t.wantCheckpoint(st, name, store.Checkpoint{})
		if got, err := st.LoadCheckpoint(ctx, name); got != (store.Checkpoint{}) || err != nil && !errors.Is(err, cause) {
			t.Fatalf("LoadCheckpoint with an ended context = %+v, %s; want %v", got, answer(err), cause)
		}
	}
}
